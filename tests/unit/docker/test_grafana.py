"""Dashboards that Grafana can load and that ask for what there is."""

import json
import subprocess
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.docker.compose import DOCKER, services
from tests.unit.docker.metric_names import EXPORTED, HISTOGRAM_SERIES, exported, series_in

GRAFANA = DOCKER / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
boards = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@cache
def board(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def queries(path: Path) -> Iterator[str]:
    for panel in board(path)["panels"]:
        yield from (target["expr"] for target in panel.get("targets", []))


def covers(panel: dict[str, Any]) -> set[tuple[int, int]]:
    place = panel["gridPos"]
    return {
        (x, y)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    }


def test_there_are_boards_for_the_whole_the_engine_and_the_money() -> None:
    assert [path.stem for path in FILES] == ["engine", "money", "overview"]
    assert len({board(path)["uid"] for path in FILES}) == len(FILES)


@boards
def test_the_data_source_is_a_variable(path: Path) -> None:
    kinds = {variable["name"]: variable["type"] for variable in board(path)["templating"]["list"]}
    assert kinds["datasource"] == "datasource"
    asked = [panel for panel in board(path)["panels"] if panel["type"] != "row"]
    uids = {panel["datasource"]["uid"] for panel in asked}
    uids |= {target["datasource"]["uid"] for panel in asked for target in panel["targets"]}
    assert uids == {"${datasource}"}


@boards
def test_panels_have_titles_and_ids_and_do_not_overlap(path: Path) -> None:
    panels = board(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert all(panel["title"] for panel in panels)
    assert all(x < 24 for panel in panels for x, _ in covers(panel))
    overlapping = [
        (one["title"], other["title"])
        for one, other in combinations(panels, 2)
        if covers(one) & covers(other)
    ]
    assert overlapping == []


@boards
def test_queries_read_metrics_that_are_exported(path: Path) -> None:
    assert {name for query in queries(path) for name in series_in(query) if not exported(name)} == set()


def test_no_metric_is_left_out() -> None:
    shown = {
        HISTOGRAM_SERIES.sub("", name)
        for path in FILES
        for query in queries(path)
        for name in series_in(query)
    }
    assert EXPORTED - shown == {"tokenmill_database_readable"}


def test_queries_are_valid(promtool: Path, tmp_path: Path) -> None:
    """As rules, which is how promtool takes them."""
    rules = [
        {"record": f"query:{number}", "expr": filled}
        for number, filled in enumerate(
            query.replace("$__rate_interval", "5m").replace("$model", ".*")
            for path in FILES
            for query in queries(path)
        )
    ]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_provisioned_is_where_the_service_has_it() -> None:
    provisioned = GRAFANA / "provisioning"
    (source,) = yaml.safe_load((provisioned / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in services()
    (provider,) = yaml.safe_load((provisioned / "dashboards/tokenmill.yml").read_text())["providers"]
    folder = provider["options"]["path"]
    assert f"./grafana/dashboards:{folder}:ro" in services()["grafana"]["volumes"]
    home = services()["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/overview.json"

"""Which metrics there are."""

import re
from pathlib import Path

import pytest

from tasks.metrics import exported_names
from tasks.metrics.families import ALL
from tasks.metrics.family import Family

README = (Path(__file__).parents[4] / "README.md").read_text()
LABELS = {"model", "tier", "outcome", "kind", "state", "target", "route", "method", "status", "limit"} | {
    "device",
    "subject",
    "task",
    "version",
}


def test_every_name_is_there_once() -> None:
    assert len(exported_names()) == len(ALL) > 50


def test_the_readme_names_all_of_them_and_no_other() -> None:
    section = README.partition("\n### Metrics\n")[2].partition("\n### ")[0]
    cells = re.findall(r"^\| (`[^|]*`) \|", section, re.MULTILINE)
    named = {f"tokenmill_{name}" for cell in cells for name in re.findall(r"`([a-z_]+)`", cell)}
    assert named == exported_names()


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_name_and_labels_follow_the_conventions(family: Family) -> None:
    assert re.fullmatch(r"tokenmill_[a-z]+(_[a-z]+)*", family.name)
    assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.name.endswith("_seconds") or family.kind != "histogram"
    assert set(family.labels) <= LABELS
    assert family.help.endswith(".")
    assert list(family.bounds) == sorted(family.bounds)

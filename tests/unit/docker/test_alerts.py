"""Alert rules, what tests them, whom they are told to, and where the README explains them."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.docker.compose import DOCKER, compose, services
from tests.unit.docker.metric_names import exported, series_in
from tests.unit.structure.source import ROOT

README = (ROOT / "README.md").read_text()


def read(path: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((DOCKER / path).read_text())
    return content


@cache
def rules() -> list[dict[str, Any]]:
    return [rule for group in read("prometheus/rules.yml")["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def tried(*, firing: bool) -> set[str]:
    """The alerts that the rules' tests see fire, or see not fire."""
    return {
        each["alertname"]
        for test in read("prometheus/rules_test.yml")["tests"]
        for each in test["alert_rule_test"]
        if bool(each.get("exp_alerts")) == firing
    }


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule.get("alert") or rule["record"])
def test_rule_reads_metrics_that_are_exported(rule: dict[str, Any]) -> None:
    assert {name for name in series_in(rule["expr"]) if not exported(name)} == set()


def test_figures_that_alerts_use_are_recorded() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for rule in rules() for name in re.findall(r"\btokenmill:[a-z0-9_:]+", rule["expr"])}
    assert used <= recorded


def test_each_alert_is_seen_to_fire_and_not_to_fire() -> None:
    names = {alert["alert"] for alert in alerts()}
    assert names == tried(firing=True)
    assert names == tried(firing=False)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert["alert"])
def test_alert_leads_to_what_to_do(alert: dict[str, Any]) -> None:
    file, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert file == "README.md"
    assert f'| <a id="{anchor}"></a>`{alert["alert"]}` |' in README


def test_the_readme_explains_no_alert_that_is_not_there() -> None:
    explained = re.findall(r'^\| <a id="alert-[a-z-]+"></a>`([A-Za-z]+)` \|', README, re.MULTILINE)
    assert sorted(explained) == sorted({alert["alert"] for alert in alerts()})


def test_every_severity_is_told_to_somebody() -> None:
    route = read("alertmanager/alertmanager.yml")["route"]
    routed = {"".join(each["matchers"]).partition(" = ")[2]: each["receiver"] for each in route["routes"]}
    assert {alert["labels"]["severity"] for alert in alerts()} - set(routed) == {"info"}
    assert route["receiver"] == "mail"


def test_receivers_are_slack_mail_and_pagerduty() -> None:
    settings = read("alertmanager/alertmanager.yml")
    receivers = {each["name"]: set(each) - {"name"} for each in settings["receivers"]}
    assert receivers["on-call"] == {"pagerduty_configs", "slack_configs", "email_configs"}
    assert receivers["team"] == {"slack_configs"}
    assert receivers["mail"] == {"email_configs"}
    routes = [settings["route"], *settings["route"]["routes"]]
    assert {route["receiver"] for route in routes} == set(receivers)


def test_secrets_of_receivers_are_files_that_the_service_is_given() -> None:
    text = (DOCKER / "alertmanager/alertmanager.yml").read_text()
    files = {Path(found).name for found in re.findall(r"_file: (\S+)", text)}
    assert files == set(services()["alertmanager"]["secrets"]) == set(compose()["secrets"])
    assert not re.search(r"(api_url|routing_key|password): ", text)


def test_inhibited_alerts_exist() -> None:
    text = "\n".join(
        matcher
        for rule in read("alertmanager/alertmanager.yml")["inhibit_rules"]
        for matcher in rule["source_matchers"] + rule["target_matchers"]
        if matcher.startswith("alertname")
    )
    mentioned = set(re.findall(r"alertname = (\w+)", text))
    for stem, endings in re.findall(r'alertname =~ "(\w+)\(([^)]*)\)"', text):
        mentioned |= {stem + ending for ending in endings.split("|")}
    assert mentioned <= {alert["alert"] for alert in alerts()}
    assert len(mentioned) >= 6

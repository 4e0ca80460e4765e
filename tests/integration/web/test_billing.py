"""Money as a project reads it over HTTP, and as an operator handles it with commands."""

import csv
import io
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tasks import keys, projects
from tasks.admission import Submission
from tasks.keys import Principal
from tests.integration.tasks.bookkeeping import CHARGE, change, finish, row
from tests.integration.tasks.conftest import MODEL, principal, submit_job
from web.app import create_app
from web.cli import cli

__all__ = ["principal", "submit_job"]

Get = Callable[..., TestResponse]


@pytest.fixture
def get(principal: Principal) -> Get:
    client: FlaskClient = create_app().test_client()
    own = keys.create_key(principal.project_id, "billing").secret

    def get_from(path: str, key: str = own) -> TestResponse:
        return client.get(path, headers={"Authorization": f"Bearer {key}"})

    return get_from


@pytest.fixture
def charged(submit_job: Callable[..., Submission]) -> list[str]:
    """Jobs that were."""
    ids = [submit_job().job.id for _ in range(3)]
    for job_id in ids:
        finish(job_id)
    return ids


def tokenmill(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments, prog_name="tokenmill")


def test_ledger_is_read_in_pages_by_its_own_project_only(get: Get, charged: list[str]) -> None:
    first = get("/v1/billing/ledger?limit=2").get_json()
    second = get(f"/v1/billing/ledger?limit=2&after={first['last_id']}").get_json()
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert [entry["job_id"] for entry in first["data"] + second["data"]] == charged
    assert {entry["amount_usd"] for entry in first["data"]} == {"0.00000028"}
    stranger = keys.create_key(projects.create_project("neighbour").id, "other").secret
    assert get("/v1/billing/ledger", stranger).get_json()["data"] == []
    refused = get(f"/v1/billing/ledger?after={first['last_id']}", stranger)
    assert (refused.status_code, refused.get_json()["error"]["param"]) == (400, "after")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("ledger?month=2026-13", "month"),
        ("ledger?month=2999-99", "month"),
        ("ledger?after=-1", "after"),
        ("ledger?after=99999999999999999999", "after"),
        ("ledger?limit=0", "limit"),
        ("export?format=xml", "format"),
        ("export?focus=perhaps", "focus"),
        ("invoice?month=november", "month"),
        ("verify?project=other", "project"),
    ],
)
def test_wrong_parameter_is_refused_by_name(get: Get, query: str, param: str) -> None:
    answer = get(f"/v1/billing/{query}")
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, param)


@pytest.mark.usefixtures("charged")
def test_export_is_a_file_with_a_name(get: Get) -> None:
    answer = get("/v1/billing/export?format=csv")
    assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 3
    assert "ledger-2" in answer.headers["Content-Disposition"]
    assert get("/v1/billing/export?format=parquet&focus=true").data[:4] == b"PAR1"
    assert get("/v1/billing/export?month=2020-01&format=jsonl").data == b""


@pytest.mark.usefixtures("charged")
def test_invoice_is_a_page(get: Get) -> None:
    answer = get("/v1/billing/invoice")
    assert answer.mimetype == "text/html"
    assert f"{MODEL}, default" in answer.text
    assert "Total: 0.00000084 USD" in answer.text


@pytest.mark.usefixtures("charged")
def test_verification_tells_of_the_first_difference(get: Get) -> None:
    right = get("/v1/billing/verify").get_json()
    assert (right["right"], right["charges"], right["charged_usd"]) == (True, 3, "0.00000084")
    change("UPDATE spend SET spent_usd = 0")
    wrong = get("/v1/billing/verify").get_json()
    assert (wrong["right"], wrong["difference"]["check"]) == (False, "wrong_spend")


@pytest.mark.usefixtures("charged")
def test_verify_exits_with_1_and_names_the_first_difference() -> None:
    right = tokenmill("billing", "verify")
    assert right.exit_code == 0, right.output
    assert "3 charges of 0.00000084 USD" in right.output
    assert "3 bodies say the same" in right.output
    change("UPDATE spend SET spent_usd = 0")
    wrong = tokenmill("billing", "verify", "--without-bodies", "--project", "tests")
    assert wrong.exit_code == 1
    assert "wrong_spend" in wrong.output


def test_entries_are_made_once_by_command(charged: list[str]) -> None:
    made = tokenmill("billing", "grant", "tests", "250", "--key", "a", "--reason", "paid")
    assert made.exit_code == 0, made.output
    assert "-250 USD." in made.output
    assert "before" in tokenmill("billing", "grant", "tests", "250", "--key", "a", "--reason", "x").output
    less = tokenmill("billing", "adjust", "tests", "-12.50", "--key", "b", "--reason", "outage")
    assert less.exit_code == 0, less.output
    assert tokenmill("billing", "refund", charged[0], "--reason", "wrong").exit_code == 0
    assert tokenmill("billing", "adjust", "tests", "1", "--key", "b", "--reason", "x").exit_code == 1
    assert tokenmill("billing", "adjust", "tests", "1", "--key", "c").exit_code == 2
    assert tokenmill("billing", "grant", "nobody", "1", "--key", "c", "--reason", "x").exit_code == 1
    assert row("SELECT count(*) FROM ledger_entries WHERE kind <> 'charge'") == (3,)
    assert tokenmill("billing", "verify").exit_code == 0
    assert tokenmill("billing", "invoice", "tests").output.startswith("<!doctype html>")
    assert len(tokenmill("billing", "export", "--format", "jsonl").output.splitlines()) == 6


def test_budgets_are_set_listed_and_removed_by_command(principal: Principal) -> None:
    done = tokenmill("budgets", "set", "project:tests", "--hard-usd", "5", "--soft-usd", "4")
    assert done.exit_code == 0, done.output
    told = tokenmill("budgets", "alert", f"key:{principal.api_key_id}", "--percent", "80", "--mail", "a@b.c")
    assert told.output.startswith("alert_")
    listed = tokenmill("budgets", "list").output
    assert f"project:{principal.project_id}  5     4" in listed
    assert f"key:{principal.api_key_id}" in listed
    assert tokenmill("budgets", "prepaid", "tests").exit_code == 0
    assert row("SELECT prepaid FROM spend") == (True,)
    assert tokenmill("budgets", "remove", "project:tests").exit_code == 0
    assert tokenmill("budgets", "remove", "project:tests").exit_code == 1
    assert tokenmill("budgets", "set", "tests", "--hard-usd", "5").exit_code == 2
    assert tokenmill("budgets", "set", "key:nowhere", "--hard-usd", "5").exit_code == 1


def test_prices_are_set_and_listed_by_command() -> None:
    done = tokenmill("prices", "set", MODEL, "--input", "0.03", "--output", "0.12", "--from", "2999-12-01")
    assert done.exit_code == 0, done.output
    listed = tokenmill("prices", "list", "--model", MODEL).output
    assert "2999-12-01 00:00:00  0.03" in listed
    late = tokenmill("prices", "set", MODEL, "--input", "0.03", "--from", "2020-01-01")
    assert late.exit_code == 1
    assert "in the past" in late.output
    assert tokenmill("prices", "set", "nothing", "--input", "1").exit_code == 1


def test_refusal_says_which_limit_it_was(get: Get, principal: Principal) -> None:
    key = keys.create_key(principal.project_id, "spender")
    assert tokenmill("budgets", "set", f"key:{key.id}", "--hard-usd", str(CHARGE)).exit_code == 0
    client = create_app().test_client()
    body = {"type": "completion", "model": MODEL, "prompt": "Once upon", "max_tokens": 8}
    answer = client.post("/v1/jobs", json=body, headers={"Authorization": f"Bearer {key.secret}"})
    assert answer.status_code == 429
    assert answer.headers["x-should-retry"] == "false"
    error = answer.get_json()["error"]
    assert error["code"] == "insufficient_quota"
    assert error["details"][0]["code"] == "key_monthly_limit"
    assert "It resets at 2" in error["message"]

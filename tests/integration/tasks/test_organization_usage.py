"""Usage and costs: read from the hours and days that the ledger is counted by, and the same as the ledger."""

import time
from collections.abc import Callable
from decimal import Decimal

import pytest
from sqlalchemy import text

from tasks import corrections, keys
from tasks.actor import OPERATOR, Actor
from tasks.admission import Submission
from tasks.billing.period import Period
from tasks.billing.verify import verify
from tasks.db import transaction
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.organization_costs import CostSum, costs
from tasks.organization_usage import UsageSum, usage
from tasks.projects import create_project
from tasks.usage_buckets import Width, stretch
from tasks.usage_source import UsageFilter
from tests.integration.tasks.bookkeeping import CHARGE, change, finish
from tests.integration.tasks.conftest import MODEL

Submit = Callable[..., Submission]
EVERYTHING = UsageFilter()
WIDTHS: tuple[Width, ...] = ("1m", "1h", "1d")
OTHER_ORGANIZATION = "INSERT INTO organizations (id, name) VALUES ('org_2', 'other')"


def used(width: Width = "1d", wanted: UsageFilter = EVERYTHING, *group_by: str) -> list[UsageSum]:
    return used_by(OPERATOR, width, wanted, *group_by)


def used_by(actor: Actor, width: Width, wanted: UsageFilter, *group_by: str) -> list[UsageSum]:
    page = usage(
        actor, "completions", stretch(width, int(time.time()) - 120, None, 60, None), wanted, group_by
    )
    return [result for bucket in page.buckets for result in bucket.results]


def cost(*group_by: str, wanted: UsageFilter = EVERYTHING, line_items: tuple[str, ...] = ()) -> list[CostSum]:
    day = stretch("1d", int(time.time()) - 120, None, 7, None)
    page = costs(OPERATOR, day, wanted, group_by=group_by, line_items=line_items)
    return [result for bucket in page.buckets for result in bucket.results]


def total(results: list[CostSum]) -> Decimal:
    return sum((result.amount_usd for result in results), Decimal(0))


def test_usage_is_what_was_charged_at_every_width(submit_job: Submit) -> None:
    finish(submit_job().job.id)
    finish(submit_job().job.id, JobStatus.CANCELLED)
    finish(submit_job().job.id, JobStatus.FAILED)
    submit_job()
    for width in WIDTHS:
        results = used(width)
        assert sum(result.requests for result in results) == 2
        assert sum(result.prompt_tokens for result in results) == 4
        assert sum(result.completion_tokens for result in results) == 6
    assert total(cost()) == CHARGE * 2 == verify(Period.always()).charged_usd


def test_usage_is_grouped_and_filtered(submit_job: Submit, principal: Principal) -> None:
    other = keys.authenticate(keys.create_key(create_project("other").id, "other").secret)
    finish(submit_job().job.id)
    finish(submit_job().job.id)
    finish(submit_job(by=other).job.id)
    names = ("project_id", "api_key_id", "model", "user_id", "batch", "service_tier", "api_source")
    for width in WIDTHS:
        groups = {result.group["project_id"]: result for result in used(width, EVERYTHING, *names)}
        assert {project: found.requests for project, found in groups.items()} == {
            principal.project_id: 2,
            other.project_id: 1,
        }
        assert groups[other.project_id].group == {
            "project_id": other.project_id,
            "api_key_id": other.api_key_id,
            "model": MODEL,
            "user_id": None,
            "batch": False,
            "service_tier": "default",
            "api_source": "unlabeled",
        }
        for wanted, requests in (
            (UsageFilter(project_ids=[other.project_id]), 1),
            (UsageFilter(api_key_ids=[principal.api_key_id]), 2),
            (UsageFilter(models=[MODEL]), 3),
            (UsageFilter(models=["none"]), 0),
            (UsageFilter(user_ids=["user_1"]), 0),
            (UsageFilter(batch=True), 0),
            (UsageFilter(batch=False), 3),
        ):
            assert sum(result.requests for result in used(width, wanted)) == requests, wanted
    assert used("1d", EVERYTHING, "model", "model")[0].requests == 3


def test_costs_by_line_item_add_up_to_the_ledger(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    finish(job_id)
    finish(submit_job().job.id)
    corrections.refund(job_id, reason="test")
    corrections.adjust(principal.project_id, Decimal("1.5"), key="a", reason="test")
    corrections.grant(principal.project_id, Decimal(100), key="a", reason="test")
    items = {result.group["line_item"]: result for result in cost("line_item", "line_item")}
    assert {name: (found.amount_usd, found.quantity) for name, found in items.items()} == {
        f"{MODEL}, input_tokens": (Decimal("0.00000008"), 4),
        f"{MODEL}, output_tokens": (Decimal("0.00000048"), 6),
        "refund": (-CHARGE, None),
        "adjustment": (Decimal("1.5"), None),
    }
    assert total(list(items.values())) == total(cost()) == CHARGE + Decimal("1.5")
    assert total(cost(line_items=("refund",))) == -CHARGE
    assert total(cost(wanted=UsageFilter(api_key_ids=[principal.api_key_id]))) == CHARGE
    assert verify(Period.always()).right


def test_another_organization_sees_nothing_of_it(submit_job: Submit) -> None:
    change(OTHER_ORGANIZATION)
    finish(submit_job().job.id)
    assert used_by(Actor(kind="cli", organization_id="org_2"), "1d", EVERYTHING) == []


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE usage_hours SET amount_usd = amount_usd + 1",
        "UPDATE usage_hours SET cached_tokens = 1",
        "DELETE FROM usage_hours",
        "UPDATE usage_days SET completion_tokens = 0",
    ],
)
def test_sums_that_are_not_the_ledgers_are_found(submit_job: Submit, tampering: str) -> None:
    finish(submit_job().job.id)
    change(tampering)
    found = verify(Period.always()).difference
    assert found is not None
    assert found.check == "wrong_usage_sums"


def test_entry_that_is_taken_back_is_not_counted(submit_job: Submit) -> None:
    finish(submit_job().job.id)
    with transaction() as connection:
        connection.execute(
            text(
                "INSERT INTO ledger_entries (business_key, project_id, kind, amount_usd)"
                " SELECT 'x', id, 'adjustment', 1 FROM projects"
            )
        )
        connection.rollback()
    assert total(cost()) == CHARGE

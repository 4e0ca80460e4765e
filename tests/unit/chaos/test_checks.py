"""The checks see what is wrong: on rows and bodies made by hand."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

from tests.chaos.books import Row
from tests.chaos.checks import Texts, check_all_rows
from tests.chaos.record import Story, Tenant

TENANT = Tenant("acme", "proj_1", "secret")
BILLED = Row("job_1", "completed", 10, 0, 5, Decimal("0.02"), 1, Decimal("0.02"), 1, Decimal("0.02"))
UNBILLED = Row("job_2", "failed", 0, 0, 0, Decimal(0), 3, Decimal(0), 0, Decimal(0))


def promises(*rows: Row) -> list[str]:
    return [breach.promise for breach in check_all_rows(rows)]


def test_jobs_billed_as_they_should_be_break_nothing() -> None:
    assert promises(BILLED, UNBILLED) == []


def test_job_charged_twice_or_never_breaks_one_bill() -> None:
    assert promises(replace(BILLED, charges=2), replace(BILLED, charges=0)) == ["I3", "I3"]


def test_failed_job_with_a_charge_breaks_one_bill() -> None:
    assert promises(replace(BILLED, status="failed")) == ["I3"]


def test_charge_that_is_not_the_price_breaks_conservation() -> None:
    changed: dict[str, Any] = {"charged_usd": Decimal("0.03")}
    assert promises(replace(BILLED, **changed)) == ["I4"]


def test_recipe_with_two_outcomes_is_not_reproducible() -> None:
    texts = Texts()
    for job_id, text in (("job_1", "a"), ("job_2", "a"), ("job_3", "b")):
        texts.take("completion 1", text, Story(job_id, TENANT))
    (breach,) = texts.breaches()
    assert breach.promise == "I7"
    assert "job_1, job_3" in breach.what

"""What people enter in the ledger."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from tasks import budgets, corrections
from tasks.admission import Submission
from tasks.budget_subject import Subject, SubjectKind
from tasks.corrections import Correction
from tasks.errors import BusinessKeyReused, InvalidRequest, JobNotFound, ProjectNotFound
from tasks.keys import Principal
from tests.integration.tasks.bookkeeping import CHARGE, finish, row


def test_entry_made_many_times_at_once_is_made_once(principal: Principal) -> None:
    def enter(_: int) -> Correction:
        return corrections.grant(principal.project_id, Decimal(5), key="a", reason="paid")

    with ThreadPoolExecutor(8) as threads:
        entries = list(threads.map(enter, range(8)))
    assert sorted(entry.repeated for entry in entries) == [False] + [True] * 7
    assert row("SELECT granted_usd, spent_usd FROM spend") == (5, 0)
    assert row("SELECT amount_usd, kind, reason FROM ledger_entries") == (-5, "grant", "paid")


def test_key_of_another_entry_is_refused(principal: Principal) -> None:
    corrections.adjust(principal.project_id, Decimal(5), key="a", reason="test")
    with pytest.raises(BusinessKeyReused, match="with another amount"):
        corrections.adjust(principal.project_id, Decimal(6), key="a", reason="test")
    assert row("SELECT spent_usd FROM spend") == (5,)


def test_refund_takes_back_what_was_charged_once(
    submit_job: Callable[..., Submission], principal: Principal
) -> None:
    budget = Subject(SubjectKind.PROJECT, principal.project_id)
    budgets.set_budget(budget, hard_usd=None, soft_usd=None)
    job_id = submit_job().job.id
    with pytest.raises(JobNotFound):
        corrections.refund(job_id, reason="test")
    finish(job_id)
    assert corrections.refund(job_id, reason="test").amount_usd == -CHARGE
    assert corrections.refund(job_id, reason="test").repeated
    assert row("SELECT spent_usd FROM spend") == (0,)
    assert budgets.get_budget(budget).spent_usd == 0


def test_entry_without_a_reason_or_an_amount_is_refused(principal: Principal) -> None:
    with pytest.raises(InvalidRequest, match="reason"):
        corrections.adjust(principal.project_id, Decimal(1), key="a", reason=" ")
    with pytest.raises(InvalidRequest, match="must not be 0"):
        corrections.adjust(principal.project_id, Decimal(0), key="a", reason="test")
    with pytest.raises(InvalidRequest, match="more than 0"):
        corrections.grant(principal.project_id, Decimal(-1), key="a", reason="test")
    with pytest.raises(InvalidRequest, match="12 decimals"):
        corrections.adjust(principal.project_id, Decimal("1e-13"), key="a", reason="test")
    with pytest.raises(ProjectNotFound):
        corrections.adjust("nobody", Decimal(1), key="a", reason="test")

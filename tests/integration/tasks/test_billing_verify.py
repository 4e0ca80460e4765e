"""The books: right while nobody tampers with them, and what is said when somebody has."""

from collections.abc import Callable

import pytest

from tasks import budgets, corrections
from tasks.admission import Submission
from tasks.billing.period import Period
from tasks.billing.verify import verify
from tasks.budget_subject import Subject, SubjectKind
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.projects import create_project
from tests.integration.tasks.batch_work import answer, assert_settled, batch_worker, begin_batch, lines
from tests.integration.tasks.bookkeeping import CHARGE, HOLD, change, finish
from tests.integration.tasks.publications import Publications

Submit = Callable[..., Submission]
UNLOCK = "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_is_append_only"
CORRUPTIONS = {
    "missing_charge": (UNLOCK, "DELETE FROM ledger_entries WHERE kind = 'charge'"),
    "doubled_charge": (
        "INSERT INTO ledger_entries (business_key, project_id, job_id, kind, amount_usd, prompt_tokens,"
        " cached_tokens, completion_tokens) SELECT business_key || '-again', project_id, job_id, kind,"
        " amount_usd, prompt_tokens, cached_tokens, completion_tokens FROM ledger_entries",
    ),
    "charge_without_job": (
        "INSERT INTO ledger_entries (business_key, project_id, kind, amount_usd)"
        " SELECT 'charge:nothing', id, 'charge', 1 FROM projects",
    ),
    "wrong_amount": (UNLOCK, "UPDATE ledger_entries SET amount_usd = amount_usd * 2 WHERE kind = 'charge'"),
    "wrong_price": (
        UNLOCK,
        "UPDATE ledger_entries SET amount_usd = amount_usd * 2 WHERE kind = 'charge'",
        "UPDATE jobs SET cost_usd = cost_usd * 2",
    ),
    "wrong_usage": (
        "UPDATE jobs SET billed_prompt_tokens = 3, cost_usd = 3e-7 WHERE status = 'completed'",
        UNLOCK,
        "UPDATE ledger_entries SET amount_usd = 3e-7"
        " WHERE job_id IN (SELECT id FROM jobs WHERE status = 'completed')",
    ),
    "wrong_output": ("UPDATE jobs SET output_token_ids = '{1,2,3,4}' WHERE status = 'completed'",),
    "wrong_body": (
        'UPDATE jobs SET output_token_ids = NULL, choices = \'[{"text": " a", "token_ids": [1]}]\''
        " WHERE status = 'completed'",
    ),
    "orphan_hold": (
        "INSERT INTO holds (job_id, project_id, amount_usd) SELECT id, project_id, 1 FROM jobs"
        " WHERE status = 'completed'",
    ),
    "missing_hold": ("DELETE FROM holds",),
    "wrong_spend": ("UPDATE spend SET spent_usd = spent_usd + 1",),
    "wrong_budget": ("UPDATE budget_months SET held_usd = held_usd + 1 WHERE subject_kind = 'key'",),
}


@pytest.fixture
def books(submit_job: Submit, principal: Principal) -> None:
    """One job that completed, one that was cancelled midway, one that failed, one that waits; credit."""
    for kind, subject_id in (
        (SubjectKind.PROJECT, principal.project_id),
        (SubjectKind.KEY, principal.api_key_id),
    ):
        budgets.set_budget(Subject(kind, subject_id), hard_usd=HOLD * 10, soft_usd=None)
    finish(submit_job().job.id)
    finish(submit_job().job.id, JobStatus.CANCELLED)
    finish(submit_job().job.id, JobStatus.FAILED)
    submit_job()
    corrections.grant(principal.project_id, CHARGE, key="a", reason="paid")
    corrections.adjust(principal.project_id, -CHARGE, key="b", reason="an outage")


@pytest.mark.usefixtures("books")
def test_books_of_every_kind_of_entry_are_right(principal: Principal) -> None:
    found = verify(Period.always())
    assert found.difference is None
    assert (found.charges, found.charged_usd, found.bodies) == (2, CHARGE * 2, 1)
    assert (found.prompt_tokens, found.completion_tokens) == (4, 6)
    assert verify(Period.parse_month(None), principal.project_id) == found
    empty = verify(Period.parse_month("2020-01"))
    assert (empty.right, empty.charges, empty.bodies) == (True, 0, 0)


@pytest.mark.usefixtures("books")
@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_corruption_is_found_and_named(kind: str, principal: Principal) -> None:
    change(*CORRUPTIONS[kind])
    found = verify(Period.always(), principal.project_id)
    assert found.difference is not None
    assert found.difference.check == kind
    assert found.difference.project_id == principal.project_id
    assert found.difference.about in str(found.difference)
    # What another project's books say is none of this one's business.
    assert verify(Period.always(), create_project("neighbour").id).right


@pytest.mark.usefixtures("batch_storage")
def test_books_of_a_batch_are_right_until_its_sums_are_not(
    principal: Principal, publications: Publications
) -> None:
    budgets.set_budget(Subject(SubjectKind.KEY, principal.api_key_id), hard_usd=HOLD * 10, soft_usd=None)
    with batch_worker(publications, answer) as worker:
        batch = worker.run_to_end(begin_batch(principal, lines(5)))
    assert_settled(batch)
    found = verify(Period.always())
    assert found.difference is None
    assert found.bodies == 5
    change("UPDATE batches SET output_tokens = output_tokens + 1")
    wrong = verify(Period.always()).difference
    assert wrong is not None
    assert (wrong.check, wrong.about) == ("wrong_batch", batch.id)

"""The ledger against a model of it: whatever happens in whatever order, both come to the same."""

from collections.abc import Callable
from decimal import Decimal
from typing import ClassVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from tasks import budgets, cancellation, claiming, corrections, jobs
from tasks.admission import Submission
from tasks.billing.period import Period
from tasks.billing.verify import verify
from tasks.budget_subject import Subject, SubjectKind
from tasks.db import transaction
from tasks.errors import InsufficientQuota
from tasks.keys import Principal, authenticate, create_key
from tasks.models import JobStatus
from tasks.projects import create_project
from tests.integration.tasks.bookkeeping import CHARGE, HOLD, finish

Submit = Callable[..., Submission]
EXAMPLES = 8
ENDINGS = st.sampled_from((JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED))
LIMITS = st.one_of(st.none(), st.integers(0, 6).map(lambda jobs: HOLD * jobs))


class Ledger(RuleBasedStateMachine):
    """One project with one key. The model: money in four sums, and limits to compare them with."""

    submit_job: Submit
    verified: ClassVar[list[str]]
    running = Bundle("running")

    @initialize()
    def begin(self) -> None:
        self.project_id = create_project("machine").id
        self.by: Principal = authenticate(create_key(self.project_id, "machine").secret)
        self.key = Subject(SubjectKind.KEY, self.by.api_key_id)
        self.project = Subject(SubjectKind.PROJECT, self.project_id)
        self.held = self.charged = self.adjusted = self.granted = Decimal(0)
        self.prepaid = False
        self.limits: dict[Subject, Decimal | None] = {}
        self.entered = 0

    @rule(target=running)
    def submit(self) -> object:
        try:
            job_id = self.submit_job(by=self.by).job.id
        except InsufficientQuota:
            assert not self._fits()
            return multiple()
        assert self._fits()
        self.held += HOLD
        return job_id

    @rule(job_id=consumes(running), status=ENDINGS)
    def end(self, job_id: str, status: JobStatus) -> None:
        finish(job_id, status)
        self.held -= HOLD
        self.charged += 0 if status is JobStatus.FAILED else CHARGE

    @rule(job_id=consumes(running))
    def cancel_in_the_queue(self, job_id: str) -> None:
        cancellation.cancel_job(self.project_id, job_id)
        self.held -= HOLD

    @rule(job_id=consumes(running), status=ENDINGS)
    def lose_the_worker_and_end(self, job_id: str, status: JobStatus) -> None:
        with transaction() as connection:
            claimed = claiming.claim(connection, job_id, "worker_dead")
            assert claimed is not None
            jobs.take_from_dead(connection, [(job_id, claimed.attempt)])
        self.end(job_id, status)

    @rule(of_key=st.booleans(), limit=LIMITS)
    def set_limit(self, of_key: bool, limit: Decimal | None) -> None:
        subject = self.key if of_key else self.project
        budgets.set_budget(subject, hard_usd=limit, soft_usd=None)
        self.limits[subject] = limit

    @rule(of_key=st.booleans())
    def remove_limit(self, of_key: bool) -> None:
        subject = self.key if of_key else self.project
        if subject in self.limits:
            budgets.remove_budget(subject)
            del self.limits[subject]

    @rule(prepaid=st.booleans())
    def pay_before_or_after(self, prepaid: bool) -> None:
        budgets.set_prepaid(self.project_id, prepaid)
        self.prepaid = prepaid

    @rule(jobs=st.integers(1, 4))
    def grant(self, jobs: int) -> None:
        self.entered += 1
        corrections.grant(self.project_id, HOLD * jobs, key=str(self.entered), reason="test")
        self.granted += HOLD * jobs

    @rule(jobs=st.sampled_from((-2, -1, 1)))
    def adjust(self, jobs: int) -> None:
        self.entered += 1
        corrections.adjust(self.project_id, HOLD * jobs, key=str(self.entered), reason="test")
        self.adjusted += HOLD * jobs

    @invariant()
    def sums_are_the_models(self) -> None:
        query = text("SELECT held_usd, spent_usd, granted_usd FROM spend WHERE project_id = :id")
        with transaction() as connection:
            kept = connection.execute(query, {"id": self.project_id}).one()
        assert kept == (self.held, self.charged + self.adjusted, self.granted)
        for subject in self.limits:
            record = budgets.get_budget(subject)
            assert (record.held_usd, record.spent_usd) == (self.held, self._spent(subject))

    def teardown(self) -> None:
        assert verify(Period.always(), self.project_id).difference is None
        self.verified.append(self.project_id)

    def _spent(self, subject: Subject) -> Decimal:
        """What people enter was asked for by no key."""
        return self.charged + (self.adjusted if subject.kind is SubjectKind.PROJECT else 0)

    def _fits(self) -> bool:
        """Whether another job does."""
        monthly = (
            self.held + self._spent(subject) + HOLD <= limit
            for subject, limit in self.limits.items()
            if limit is not None
        )
        credit = not self.prepaid or self.held + self.charged + self.adjusted + HOLD <= self.granted
        return credit and all(monthly)


@pytest.fixture
def machine(submit_job: Submit) -> type[Ledger]:
    return type("BoundLedger", (Ledger,), {"submit_job": staticmethod(submit_job), "verified": []})


def test_ledger_and_its_model_never_disagree(machine: type[Ledger]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert len(set(machine.verified)) >= EXAMPLES

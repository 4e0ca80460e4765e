"""I3 to I5 over random workloads: parallel submits near a limit, and workers that die anywhere."""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from decimal import Decimal
from typing import get_args

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from tasks import budgets
from tasks.admission import Submission
from tasks.billing.period import Period
from tasks.billing.verify import verify
from tasks.budget_subject import Subject, SubjectKind
from tasks.db import transaction
from tasks.errors import InsufficientQuota
from tasks.keys import Principal, authenticate, create_key
from tasks.models import JobStatus
from tasks.projects import create_project
from tests.integration.tasks.bookkeeping import CHARGE, HOLD, row
from tests.integration.tasks.crashing_workers import CrashingWorkers, CrashPoint, Fate

Submit = Callable[..., Submission]
ENDINGS = st.sampled_from((JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.EXPIRED))
CRASHES = st.lists(st.sampled_from(get_args(CrashPoint)), max_size=3).map(tuple)
FATES = st.lists(st.builds(Fate, ENDINGS, CRASHES), min_size=1, max_size=12)
EVERY_CRASH = [Fate(JobStatus.COMPLETED, (point,)) for point in get_args(CrashPoint)]


def spender(limit_usd: Decimal) -> Principal:
    """A key of a new project; both may spend as much in a month."""
    by = authenticate(create_key(create_project("crashing").id, "crashing").secret)
    for subject in (Subject(SubjectKind.PROJECT, by.project_id), Subject(SubjectKind.KEY, by.api_key_id)):
        budgets.set_budget(subject, hard_usd=limit_usd, soft_usd=None)
    return by


@contextmanager
def watched(by: Principal) -> Iterator[list[Decimal]]:
    """Held and spent together, as others see it, again and again until the block ends."""
    seen: list[Decimal] = []
    over = threading.Event()
    query = text("SELECT held_usd + spent_usd FROM spend WHERE project_id = :id")

    def watch() -> None:
        while not over.wait(0.002):
            with transaction() as connection:
                seen.append(connection.execute(query, {"id": by.project_id}).scalar_one())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def submit_together(submit_job: Submit, by: Principal, fates: Sequence[Fate]) -> list[tuple[str, Fate]]:
    def submit(fate: Fate) -> list[tuple[str, Fate]]:
        try:
            return [(submit_job(by=by).job.id, fate)]
        except InsufficientQuota:
            return []

    with ThreadPoolExecutor(len(fates)) as threads:
        return [admitted for each in threads.map(submit, fates) for admitted in each]


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(fates=FATES, fits=st.integers(1, 12))
@example(fates=EVERY_CRASH, fits=12)
def test_no_crash_charges_twice_or_loses_a_hold_or_overspends(
    submit_job: Submit, fates: list[Fate], fits: int
) -> None:
    by = spender(HOLD * fits)
    with watched(by) as seen:
        admitted = submit_together(submit_job, by, fates)
        assert len(admitted) == min(len(fates), fits)
        CrashingWorkers(admitted).run()
    assert max(seen, default=Decimal(0)) <= HOLD * fits
    charged = sum(fate.status is not JobStatus.FAILED for _, fate in admitted)
    found = row(
        "SELECT (SELECT held_usd FROM spend WHERE project_id = :id),"
        " (SELECT spent_usd FROM spend WHERE project_id = :id),"
        " (SELECT count(*) FROM ledger_entries WHERE project_id = :id),"
        " (SELECT count(*) FROM jobs WHERE project_id = :id AND ended_at IS NOT NULL),"
        " (SELECT count(*) FROM holds WHERE project_id = :id)",
        id=by.project_id,
    )
    assert found == (0, CHARGE * charged, charged, len(admitted), 0)
    assert verify(Period.always(), by.project_id).difference is None

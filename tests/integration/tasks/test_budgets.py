"""Monthly limits and credit: what is admitted, what is counted, and what is said when it is not enough."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text

from tasks import budgets, cancellation, claiming, corrections, jobs, keys
from tasks.admission import Submission
from tasks.budget_subject import Subject, SubjectKind
from tasks.db import transaction
from tasks.errors import BudgetNotFound, InsufficientQuota, InvalidRequest, KeyNotFound, ProjectNotFound
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.organization_projects import organization_of
from tasks.projects import create_project
from tests.integration.tasks.bookkeeping import CHARGE, HOLD, finish

Submit = Callable[..., Submission]


def project_of(principal: Principal) -> Subject:
    return Subject(SubjectKind.PROJECT, principal.project_id)


def key_of(principal: Principal) -> Subject:
    return Subject(SubjectKind.KEY, principal.api_key_id)


def limit(subject: Subject, hard_usd: Decimal | None = None, soft_usd: Decimal | None = None) -> None:
    budgets.set_budget(subject, hard_usd=hard_usd, soft_usd=soft_usd)


def counters(subject: Subject) -> dict[date, tuple[Decimal, Decimal]]:
    """Held and spent, by month."""
    query = text("SELECT month, held_usd, spent_usd FROM budget_months WHERE subject_id = :id")
    with transaction() as connection:
        return {row.month: (row.held_usd, row.spent_usd) for row in connection.execute(query, subject.params)}


def now(subject: Subject) -> tuple[Decimal, Decimal]:
    record = budgets.get_budget(subject)
    return record.held_usd, record.spent_usd


def admitted(submit_job: Submit, times: int) -> int:
    def admit(_: int) -> bool:
        try:
            submit_job()
        except InsufficientQuota:
            return False
        return True

    with ThreadPoolExecutor(min(times, 32)) as threads:
        return sum(threads.map(admit, range(times)))


@pytest.mark.parametrize("kind", ["project", "key", "credit"])
def test_two_hundred_parallel_submits_on_a_budget_for_fifty_admit_exactly_fifty(
    submit_job: Submit, principal: Principal, kind: str
) -> None:
    if kind == "credit":
        budgets.set_prepaid(principal.project_id, True)
        corrections.grant(principal.project_id, HOLD * 50, key="first", reason="test")
    else:
        limit(project_of(principal) if kind == "project" else key_of(principal), HOLD * 50)
    assert admitted(submit_job, 200) == 50
    with transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar_one() == 50
        assert connection.execute(text("SELECT held_usd FROM spend")).scalar_one() == HOLD * 50


def test_organization_is_held_to_its_limit_over_all_of_its_projects(
    submit_job: Submit, principal: Principal
) -> None:
    with transaction() as connection:
        organization_id = organization_of(connection, principal.project_id)
    assert organization_id is not None
    organization = Subject(SubjectKind.ORGANIZATION, organization_id)
    limit(organization, HOLD * 3)
    later = create_project("later")
    neighbour = keys.authenticate(keys.create_key(later.id, "later").secret)
    submit_job()
    submit_job(by=neighbour)
    submit_job(by=neighbour)
    with pytest.raises(InsufficientQuota, match=r"organization's monthly limit of 0\.00000204") as caught:
        submit_job()
    assert "left" not in caught.value.message
    assert now(organization) == (HOLD * 3, 0)


def test_key_without_a_budget_is_not_held_to_another_keys(submit_job: Submit, principal: Principal) -> None:
    limit(key_of(principal), Decimal(0))
    other = keys.authenticate(keys.create_key(principal.project_id, "other").secret)
    submit_job(by=other)
    with pytest.raises(InsufficientQuota, match="key's monthly limit of 0 USD"):
        submit_job()
    assert now(key_of(principal)) == (0, 0)


def test_refusal_names_the_limit_and_the_moment_of_its_reset(
    submit_job: Submit, principal: Principal
) -> None:
    limit(project_of(principal), HOLD)
    submit_job()
    with pytest.raises(InsufficientQuota) as caught:
        submit_job()
    assert "The project's monthly limit of 0.00000068 USD" in caught.value.message
    assert "0 USD are left, and it may cost up to 0.00000068 USD" in caught.value.message
    assert caught.value.message.endswith("-01T00:00:00Z.")
    assert caught.value.details[0]["code"] == "project_monthly_limit"


def test_soft_limit_refuses_nothing(submit_job: Submit, principal: Principal) -> None:
    limit(project_of(principal), soft_usd=Decimal(0))
    submit_job()
    assert now(project_of(principal)) == (HOLD, 0)


def test_holds_return_to_zero_however_jobs_end(submit_job: Submit, principal: Principal) -> None:
    for subject in (project_of(principal), key_of(principal)):
        limit(subject, Decimal(1))
    ids = [submit_job().job.id for _ in range(6)]
    finish(ids[0])
    finish(ids[1], JobStatus.FAILED)
    finish(ids[2], JobStatus.CANCELLED)
    finish(ids[3], JobStatus.EXPIRED)
    cancellation.cancel_job(principal.project_id, ids[4])
    with transaction() as connection:
        assert claiming.claim(connection, ids[5], "worker_dead") is not None
        jobs.take_from_dead(connection, [(ids[5], 1)])
    finish(ids[5])
    for subject in (project_of(principal), key_of(principal)):
        assert now(subject) == (0, CHARGE * 4)
    with transaction() as connection:
        assert connection.execute(text("SELECT held_usd, spent_usd FROM spend")).one() == (0, CHARGE * 4)


def test_budget_set_later_counts_what_was_held_and_spent_before(
    submit_job: Submit, principal: Principal
) -> None:
    finish(submit_job().job.id)
    running = submit_job().job.id
    limit(project_of(principal), Decimal(1))
    limit(key_of(principal), Decimal(1))
    for subject in (project_of(principal), key_of(principal)):
        assert now(subject) == (HOLD, CHARGE)
    finish(running)
    for subject in (project_of(principal), key_of(principal)):
        assert now(subject) == (0, CHARGE * 2)


def test_budgets_set_while_jobs_come_and_go_count_every_one_of_them(
    submit_job: Submit, principal: Principal
) -> None:
    def work(_: int) -> None:
        finish(submit_job().job.id)

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(work, n) for n in range(40)]
        for hard_usd in (Decimal(1), Decimal(2)):
            limit(project_of(principal), hard_usd)
            limit(key_of(principal), hard_usd)
        for one in running:
            one.result()
    for subject in (project_of(principal), key_of(principal)):
        assert now(subject) == (0, CHARGE * 40)


def test_what_was_held_last_month_is_charged_to_last_month(submit_job: Submit, principal: Principal) -> None:
    subject = project_of(principal)
    limit(subject, HOLD)
    job_id = submit_job().job.id
    with transaction() as connection:
        connection.execute(text("UPDATE jobs SET created_at = created_at - interval '1 month'"))
        connection.execute(text("UPDATE budget_months SET month = month - interval '1 month'"))
    # A new month has room again, while the old one's job runs.
    submit_job()
    finish(job_id)
    last, this = sorted(counters(subject))
    assert counters(subject) == {last: (Decimal(0), CHARGE), this: (HOLD, Decimal(0))}
    budgets.remove_budget(subject)
    limit(subject, HOLD)
    assert counters(subject) == {this: (HOLD, Decimal(0))}


def test_credit_is_spent_and_never_more(submit_job: Submit, principal: Principal) -> None:
    budgets.set_prepaid(principal.project_id, True)
    with pytest.raises(InsufficientQuota, match="The project's credit of 0 USD"):
        submit_job()
    corrections.grant(principal.project_id, HOLD, key="a", reason="test")
    finish(submit_job().job.id)
    with pytest.raises(InsufficientQuota, match="does not reset"):
        submit_job()
    corrections.grant(principal.project_id, CHARGE, key="b", reason="test")
    submit_job()


def test_removed_budget_limits_nothing(submit_job: Submit, principal: Principal) -> None:
    limit(project_of(principal), Decimal(0))
    budgets.remove_budget(project_of(principal))
    finish(submit_job().job.id)
    with pytest.raises(BudgetNotFound):
        budgets.remove_budget(project_of(principal))
    with pytest.raises(BudgetNotFound):
        budgets.get_budget(project_of(principal))


def test_budget_of_nobody_is_refused() -> None:
    with pytest.raises(ProjectNotFound):
        limit(Subject(SubjectKind.PROJECT, "proj_nowhere"), Decimal(1))
    with pytest.raises(KeyNotFound):
        limit(Subject(SubjectKind.KEY, "key_nowhere"), Decimal(1))
    with pytest.raises(ProjectNotFound):
        budgets.set_prepaid("proj_nowhere", True)
    with pytest.raises(InvalidRequest, match="hard_usd must not be negative"):
        limit(Subject(SubjectKind.PROJECT, "proj_nowhere"), Decimal(-1))

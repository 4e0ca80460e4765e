"""Which job a message leads to."""

from decimal import Decimal

from tasks import claiming, jobs
from tasks.admission import submit
from tasks.db import transaction
from tasks.jobs import ClaimedJob
from tasks.keys import Principal
from tasks.models import Job, JobStatus
from tasks.plan import Endpoint, ServiceTier
from tasks.worker_identity import WorkerIdentity
from tests.integration.tasks.plans import make_plan


def admit(principal: Principal, tier: ServiceTier = ServiceTier.DEFAULT) -> str:
    plan = make_plan(tier=tier)
    return submit(principal, plan, idempotency_key=None, request_id=None).job.id


def claim(job_id: str) -> ClaimedJob | None:
    with transaction() as connection:
        return claiming.claim(connection, job_id, "worker_1", "fp_1")


def claimed(job_id: str) -> str | None:
    job = claim(job_id)
    return None if job is None else job.id


def column(job_id: str, name: str) -> object:
    with transaction() as connection:
        return connection.execute(Job.__table__.select().where(Job.id == job_id)).mappings().one()[name]


def test_message_claims_its_own_job_where_none_is_of_a_better_tier(principal: Principal) -> None:
    first, second = admit(principal), admit(principal)
    assert claimed(second) == second
    assert claimed(first) == first


def test_better_tiers_go_first_whatever_the_order_of_the_messages(principal: Principal) -> None:
    tiers = [ServiceTier.FLEX, ServiceTier.DEFAULT, ServiceTier.PRIORITY]
    flex, default, priority = [admit(principal, tier) for tier in tiers]
    assert [claimed(job_id) for job_id in (flex, default, priority)] == [priority, default, flex]


def test_as_many_messages_as_jobs_claim_every_job(principal: Principal) -> None:
    tiers = [ServiceTier.FLEX, ServiceTier.PRIORITY, ServiceTier.DEFAULT, ServiceTier.PRIORITY]
    ids = [admit(principal, tier) for tier in tiers]
    assert sorted(str(claimed(job_id)) for job_id in ids) == sorted(ids)
    assert claimed(ids[0]) is None


def test_tier_has_its_price_and_its_hold(principal: Principal) -> None:
    prices = {
        tier: column(admit(principal, tier), "price_output_usd")
        for tier in (ServiceTier.FLEX, ServiceTier.DEFAULT, ServiceTier.PRIORITY)
    }
    assert prices == {
        ServiceTier.FLEX: Decimal("0.04"),
        ServiceTier.DEFAULT: Decimal("0.08"),
        ServiceTier.PRIORITY: Decimal("0.16"),
    }


def test_claim_writes_down_what_the_attempt_runs_on(principal: Principal) -> None:
    job_id = admit(principal)
    assert column(job_id, "system_fingerprint") is None
    claim(job_id)
    assert column(job_id, "system_fingerprint") == "fp_1"


def test_job_of_another_model_does_not_go_ahead(principal: Principal) -> None:
    plan = make_plan(model="all-minilm-l6-v2", endpoint=Endpoint.EMBEDDINGS, tier=ServiceTier.PRIORITY)
    submit(principal, plan, idempotency_key=None, request_id=None)
    own = admit(principal)
    assert claimed(own) == own


def test_ended_job_of_a_message_leaves_the_message_to_the_next(principal: Principal) -> None:
    ended, waiting = admit(principal), admit(principal)
    with transaction() as connection:
        jobs.end(connection, [jobs.Ending(job_id=ended, attempt=0, status=JobStatus.CANCELLED)])
    assert claimed(ended) == waiting


def test_identity_without_a_fingerprint_claims_as_well(principal: Principal) -> None:
    identity = WorkerIdentity(model="m", quantization="fp32", slots=1)
    job_id = admit(principal)
    with transaction() as connection:
        job = claiming.claim(connection, job_id, identity.id, identity.system_fingerprint)
    assert job is not None

"""Admission: from a plan to a durable, paid-for, queued job."""

import hashlib
import json
import secrets
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any

from sqlalchemy import select

from tasks import backpressure, job_limits, job_queries, queue
from tasks.admission_writer import Candidate, admit
from tasks.db import transaction
from tasks.errors import IdempotencyKeyReused, InvalidRequest, TokenmillError
from tasks.ids import new_id
from tasks.job import JobRecord
from tasks.keys import Principal
from tasks.limit import Standing
from tasks.metrics import jobs as job_metrics
from tasks.models import IdempotencyKey
from tasks.plan import JobPlan
from tasks.price_book import current_prices
from tasks.pricing import hold_amount
from tasks.principal import demand_model
from tasks.sampling import Sampling
from tasks.settings import settings
from tasks.tracing import context, recording


@dataclass(frozen=True, slots=True)
class Submission:
    """The job a request led to; ``replayed`` when an earlier request with the same key made it."""

    job: JobRecord
    replayed: bool
    standings: tuple[Standing, ...] = ()


def submit(
    principal: Principal,
    plan: JobPlan,
    *,
    idempotency_key: str | None,
    request_id: str | None,
    job_id: str | None = None,
    stream_to: str | None = None,
) -> Submission:
    """Admit a job: once this returns, the job reaches a terminal state whatever dies (I1).

    Publishing happens behind the caller's back: the committed row is the outbox, and what does not
    reach the broker now is published by the relay later. ``job_id`` is for callers that must know it
    before it exists; ``stream_to`` is the queue of a process that wants its tokens from the first on.

    Raises:
        ModelNotAllowed: the key may not use this model.
        InvalidRequest: it would expire too late.
        QueueFull: what waits already would keep it waiting for too long.
        RateLimitReached, TooManyJobs, LimitsUnavailable: a limit has no room for it now.
        InsufficientQuota: the budget does not cover it.
        IdempotencyKeyReused: the key came with another body before.
        DatabaseUnavailable: nothing was acknowledged; the same key makes trying again safe.
    """
    demand_model(principal.models, plan.spec.name)
    prices = current_prices(plan.spec, plan.service_tier)
    expires_in_seconds = _expires_in_seconds(plan)
    values = {
        "id": job_id or new_id("job"),
        "project_id": principal.project_id,
        "api_key_id": principal.api_key_id,
        "request_id": request_id,
        "stream_to": [] if stream_to is None else [stream_to],
        **context.columns(context.current()),
        "price_input_usd": prices.input_usd,
        "price_cached_input_usd": prices.cached_input_usd,
        "price_output_usd": prices.output_usd,
        "expires_in": timedelta(seconds=expires_in_seconds),
        **planned_values(plan),
    }
    hold_usd = hold_amount(prices, prompt_tokens=plan.prompt_tokens, max_tokens=plan.most_output_tokens)
    caps = job_limits.caps(principal, plan)
    candidate = Candidate(values, hold_usd, idempotency_key, _body_sha256(plan), caps)
    refusal = backpressure.refusal(plan, expires_in_seconds)
    if refusal is not None:
        # Who was let in before is told so again, however full it is by now.
        return _earlier(candidate, or_else=refusal)
    traced = recording.step("web", "admit", context.current(), {"tokenmill.job.id": candidate.job_id})
    with traced, job_limits.counted(principal, plan, candidate.job_id) as standings:
        moments = admit(candidate)
    if moments is None:
        job_limits.settle({candidate.job_id: 0})
        return _earlier(candidate, or_else=IdempotencyKeyReused(param="Idempotency-Key"))
    job_metrics.count_admitted(plan.spec.name, plan.service_tier)
    queue.publish_soon(candidate.job_id, plan.spec.name)
    return Submission(job_queries.admitted(values | moments), False, standings)


def planned_values(plan: JobPlan) -> dict[str, Any]:
    """What a plan comes to in a job's row."""
    one_prompt = len(plan.prompts) == 1
    return {
        "endpoint": plan.endpoint,
        "type": plan.type,
        "model": plan.spec.name,
        "service_tier": plan.service_tier,
        "rank": plan.service_tier.rank,
        "stored": plan.stored,
        "conversation_id": plan.conversation_id,
        "request": plan.request,
        "metadata": plan.metadata,
        "sampling": Sampling(plan.params, plan.n, plan.best_of).to_json(),
        "prompt_token_ids": list(chain.from_iterable(plan.prompts)),
        "prompt_lengths": None if one_prompt else [len(prompt) for prompt in plan.prompts],
        "prompt_tokens": plan.prompt_tokens,
        "max_tokens": plan.params.max_tokens,
        "seed": plan.seed if plan.seed is not None else secrets.randbits(63),
    }


def _expires_in_seconds(plan: JobPlan) -> int:
    if plan.expires_in_seconds is None:
        return settings().default_expires_in_seconds
    if plan.expires_in_seconds > settings().max_expires_in_seconds:
        raise InvalidRequest(
            f"expires_in_seconds must be at most {settings().max_expires_in_seconds}.",
            param="expires_in_seconds",
        )
    return plan.expires_in_seconds


def _earlier(candidate: Candidate, *, or_else: TokenmillError) -> Submission:
    """What an earlier request with this key led to. Raises ``or_else`` or IdempotencyKeyReused."""
    if candidate.idempotency_key is None:
        raise or_else
    query = select(IdempotencyKey.job_id, IdempotencyKey.body_sha256).where(
        IdempotencyKey.project_id == candidate.project_id, IdempotencyKey.key == candidate.idempotency_key
    )
    with transaction() as connection:
        row = connection.execute(query).first()
    if row is None:
        raise or_else
    if row.body_sha256 != candidate.body_sha256:
        raise IdempotencyKeyReused(param="Idempotency-Key")
    return Submission(job_queries.get_job(candidate.project_id, row.job_id), replayed=True)


def _body_sha256(plan: JobPlan) -> bytes:
    """The same for bodies that mean the same, whatever their spacing and order of keys."""
    body = {**plan.request, "metadata": plan.metadata, "endpoint": plan.endpoint}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).digest()

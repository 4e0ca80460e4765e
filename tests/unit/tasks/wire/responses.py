"""Responses that need no database."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from inference.request import SamplingParams, TokenLogprob
from tasks.job import JobRecord
from tasks.models import JobStatus
from tasks.planning import find_model, renderer_of
from tasks.result import Choice, JobResult

RENDERER = renderer_of(find_model("smollm2"))
DIGITS = "0199" + "0" * 28
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
MESSAGE = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}
REQUEST: dict[str, Any] = {"model": "smollm2", "input": [MESSAGE]}
FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object"}}


def response(
    text: str = "",
    *,
    status: JobStatus = JobStatus.COMPLETED,
    finish_reason: str | None = "stop",
    request: dict[str, Any] | None = None,
    logprobs: tuple[TokenLogprob, ...] = (),
    **changes: Any,
) -> JobResult:
    """A response of a job; ``changes`` are those of its record."""
    values: dict[str, Any] = {
        "id": f"job_{DIGITS}",
        "project_id": "proj_1",
        "type": "response",
        "endpoint": "/v1/responses",
        "service_tier": "default",
        "stored": True,
        "model": "smollm2-135m-instruct",
        "status": status,
        "metadata": {},
        "prompt_tokens": 5,
        "max_tokens": 8,
        "created_at": MOMENT,
        "expires_at": MOMENT,
        "ended_at": MOMENT if status.ended else None,
        "attempt": 1,
    }
    job = JobRecord(**{**dict.fromkeys(JobRecord.__slots__), **values, **changes})
    reason: Any = finish_reason if status is JobStatus.COMPLETED else None
    return JobResult(
        job=job,
        request={**REQUEST, **(request or {})},
        params=SamplingParams(max_tokens=8),
        n=1,
        best_of=1,
        prompts=((1, 2, 3),),
        choices=(Choice(text=text, token_ids=(), finish_reason=reason, logprobs=logprobs),),
    )


def unfinished(result: JobResult) -> JobResult:
    """The same, before anything has come of it."""
    job = replace(result.job, status=JobStatus.QUEUED, ended_at=None)
    return replace(result, job=job, choices=(Choice(text="", token_ids=()),))

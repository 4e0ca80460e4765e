"""Jobs and their results, made up."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from inference.detokenize import Detokenizer
from inference.prompts import PromptRenderer
from inference.request import SamplingParams, TokenLogprob
from tasks.job import JobRecord
from tasks.models import JobStatus
from tasks.result import Choice, JobResult
from tasks.wire.chunks import Piece

DIGITS = "0199" + "a" * 28
MODEL = "smollm2-135m-instruct"


def make_job(**changes: Any) -> JobRecord:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    values: dict[str, Any] = {
        "id": f"job_{DIGITS}",
        "project_id": "proj_1",
        "type": "chat",
        "endpoint": "/v1/chat/completions",
        "service_tier": "default",
        "stored": False,
        "system_fingerprint": "fp_1",
        "model": MODEL,
        "status": JobStatus.COMPLETED,
        "metadata": {},
        "prompt_tokens": 5,
        "max_tokens": 8,
        "created_at": moment,
        "expires_at": moment,
        "ended_at": moment,
        "attempt": 1,
        "billed_prompt_tokens": 5,
        "cached_tokens": 2,
        "completion_tokens": 3,
    }
    return JobRecord(**{**dict.fromkeys(JobRecord.__slots__), **values, **changes})


def make_result(
    request: dict[str, Any], choices: Sequence[Choice], *, prompts: int = 1, **changes: Any
) -> JobResult:
    n = len(choices) // prompts
    return JobResult(
        job=make_job(**changes),
        request=request,
        params=SamplingParams(max_tokens=8),
        n=n,
        best_of=n,
        prompts=((1, 2),) * prompts,
        choices=tuple(choices),
    )


def choice_of(
    text: str, renderer: PromptRenderer, *, finish_reason: Any = "stop", scored: bool = False
) -> Choice:
    """The output of a model that wrote this text, then ended."""
    token_ids = tuple(renderer.plain(text)) if text else ()
    # The packaged tokenizer lacks some bytes, so not every text comes back as it was.
    text = "".join(map(Detokenizer(renderer.token_bytes).push, token_ids))
    token_ids += tuple(renderer.eos_token_ids)[:1] if finish_reason == "stop" else ()
    scores = tuple(TokenLogprob(token_id, -0.5, ((token_id, -0.5), (5, -2.0))) for token_id in token_ids)
    return Choice(
        text=text, token_ids=token_ids, finish_reason=finish_reason, logprobs=scores if scored else ()
    )


def pieces_of(choice: Choice, index: int, renderer: PromptRenderer) -> list[Piece]:
    """The output as it comes, token by token."""
    detokenizer = Detokenizer(renderer.token_bytes)
    scores: Sequence[TokenLogprob | None] = choice.logprobs or (None,) * len(choice.token_ids)
    return [
        Piece(
            choice=index,
            position=position,
            text=detokenizer.push(token_id),
            token_id=token_id,
            logprob=score,
        )
        for position, (token_id, score) in enumerate(zip(choice.token_ids, scores, strict=True), start=1)
    ]

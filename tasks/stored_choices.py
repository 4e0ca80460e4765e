"""Outputs as they are kept as JSON: a token's log-probability is ``[id, logprob, [[id, logprob], …]]``."""

from collections.abc import Iterable, Sequence
from typing import Any

from inference.request import TokenLogprob
from tasks.result import Choice


def to_json(choices: Iterable[Choice]) -> list[dict[str, Any]]:
    return [_choice_json(choice) for choice in choices]


def from_json(stored: Sequence[dict[str, Any]]) -> tuple[Choice, ...]:
    return tuple(_choice(one) for one in stored)


def stored_text(text: str) -> str:
    """Postgres stores no NUL."""
    return text.replace("\x00", "\ufffd")


def _choice_json(choice: Choice) -> dict[str, Any]:
    stored: dict[str, Any] = {"text": stored_text(choice.text), "token_ids": list(choice.token_ids)}
    if choice.finish_reason is not None:
        stored["finish_reason"] = choice.finish_reason
    if choice.logprobs:
        stored["logprobs"] = [logprob_json(one) for one in choice.logprobs]
    if choice.prompt_logprobs:
        stored["prompt_logprobs"] = [one and logprob_json(one) for one in choice.prompt_logprobs]
    return stored


def _choice(stored: dict[str, Any]) -> Choice:
    return Choice(
        text=stored["text"],
        token_ids=tuple(stored["token_ids"]),
        finish_reason=stored.get("finish_reason"),
        logprobs=tuple(read_logprob(one) for one in stored.get("logprobs", ())),
        prompt_logprobs=tuple(one and read_logprob(one) for one in stored.get("prompt_logprobs", ())),
    )


def logprob_json(one: TokenLogprob) -> list[Any]:
    one = stored_logprob(one)
    return [one.token_id, one.logprob, [list(pair) for pair in one.top]]


def read_logprob(stored: Sequence[Any]) -> TokenLogprob:
    """One that ``logprob_json`` wrote."""
    token_id, logprob, top = stored
    return TokenLogprob(token_id, logprob, tuple((other, value) for other, value in top))


def stored_logprob(one: TokenLogprob) -> TokenLogprob:
    """As it can be kept and shown."""
    top = tuple((token_id, _finite(value)) for token_id, value in one.top)
    return TokenLogprob(one.token_id, _finite(one.logprob), top)


def _finite(logprob: float) -> float:
    """JSON has no infinity; the OpenAI API writes this number for "as good as impossible"."""
    return max(logprob, -9999.0)

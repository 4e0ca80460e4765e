"""How a job's tokens travel while they are generated: from the worker to the web processes that listen.

A direct exchange with a queue per process, named in the job's row. Messages hold nothing but token ids
(and log-probabilities where they were asked for), and may be lost: whoever listens also looks at Postgres.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kombu import Exchange, Queue

from inference.request import TokenLogprob
from tasks.settings import settings
from tasks.stored_choices import logprob_json, read_logprob

# Far more than a process falls behind; what is dropped is read from the database.
_MOST_WAITING_MESSAGES = 20_000


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one output that follow each other, the first of them at position ``start``, from 0.

    ``logprobs`` has an entry per token, or none.
    """

    job_id: str
    choice: int
    start: int
    token_ids: tuple[int, ...]
    logprobs: tuple[TokenLogprob, ...] = ()

    @property
    def end(self) -> int:
        return self.start + len(self.token_ids)

    def with_next(self, other: "Tokens") -> "Tokens":
        """These and those that follow them."""
        return replace(
            self, token_ids=self.token_ids + other.token_ids, logprobs=self.logprobs + other.logprobs
        )


Receiver = Callable[[Sequence[Tokens]], None]

receivers: dict[str, Receiver] = {}
"""Queues of this very process: what is for them needs no broker."""


def exchange() -> Exchange:
    return Exchange(
        f"{settings().queue_prefix}.streams", type="direct", durable=True, delivery_mode="transient"
    )


def queue_named(name: str) -> Queue:
    """A queue that dies with the process that consumes it."""
    return Queue(
        name,
        exchange(),
        routing_key=name,
        durable=False,
        exclusive=True,
        auto_delete=True,
        queue_arguments={"x-max-length": _MOST_WAITING_MESSAGES},
    )


def encode(batch: Iterable[Tokens]) -> str:
    return json.dumps([_as_json(tokens) for tokens in batch], separators=(",", ":"))


def decode(body: str | bytes) -> list[Tokens]:
    return [
        Tokens(
            one["job"],
            one["choice"],
            one["start"],
            tuple(one["ids"]),
            tuple(read_logprob(entry) for entry in one.get("logprobs", ())),
        )
        for one in json.loads(body)
    ]


def _as_json(tokens: Tokens) -> dict[str, Any]:
    body: dict[str, Any] = {
        "job": tokens.job_id,
        "choice": tokens.choice,
        "start": tokens.start,
        "ids": tokens.token_ids,
    }
    if tokens.logprobs:
        body["logprobs"] = [logprob_json(one) for one in tokens.logprobs]
    return body

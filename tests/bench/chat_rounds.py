"""Rounds of chats by processes of their own: the engine called directly, and clients of the platform."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from tests.services.platform import Platform

Chats = Sequence[Sequence[dict[str, str]]]


@dataclass(frozen=True, slots=True)
class Round:
    """One round; times in milliseconds, medians over chats and over pauses between tokens."""

    tokens_per_second: float
    first_token_ms: float
    between_tokens_ms: float


Run = Callable[[Chats, int], Round]


@contextmanager
def direct_engine(platform: Platform) -> Iterator[Run]:
    """Runs a round of chats of so many tokens at most, all at once."""
    with rounds(platform, "tests.bench.direct_engine") as (first_line, run):
        print("engine:", first_line)
        yield run


@contextmanager
def rounds(platform: Platform, module: str, *arguments: str) -> Iterator[tuple[str, Run]]:
    """A process that runs rounds on demand, and the line with which it says that it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=platform.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    source, sink = process.stdout, process.stdin
    assert source is not None
    assert sink is not None

    def run(chats: Chats, max_tokens: int) -> Round:
        print(json.dumps({"chats": chats, "max_tokens": max_tokens}), file=sink, flush=True)
        answer = json.loads(source.readline())
        return Round(
            answer["tokens"] / answer["seconds"], answer["first_token_ms"], answer["between_tokens_ms"]
        )

    try:
        yield source.readline().strip(), run
    finally:
        sink.close()
        process.wait(30)

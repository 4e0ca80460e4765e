"""What can be limited, by the names that settings, the database and the admin API have for it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Literal

Amount = Literal[
    "requests_per_minute",
    "tokens_per_minute",
    "requests_per_day",
    "tokens_per_day",
    "concurrent_jobs",
    "queued_batch_tokens",
]
KeyAmount = Literal["requests_per_day", "tokens_per_day", "concurrent_jobs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """How much of each; 0 is no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    requests_per_day: int = 0
    tokens_per_day: int = 0
    concurrent_jobs: int = 0
    queued_batch_tokens: int = 0


NAMES = tuple(field.name for field in fields(Amounts))


def amounts(defaults: Mapping[Amount, int], said: Mapping[str, int | None]) -> Amounts:
    """The defaults, but for what is said otherwise."""
    otherwise = {name: value for name, value in said.items() if value is not None}
    return Amounts(**{str(name): value for name, value in defaults.items()} | otherwise)

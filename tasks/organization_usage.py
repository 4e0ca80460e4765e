"""How many tokens an organization's jobs were charged for, by the minute, the hour or the day."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import BigInteger, cast, func

from tasks.actor import Actor
from tasks.db import transaction
from tasks.usage_buckets import BucketPage, Stretch
from tasks.usage_source import UsageFilter, entries_of, groups

UsageKind = Literal["completions", "embeddings"]

_TYPES: dict[UsageKind, tuple[str, ...]] = {
    "completions": ("chat", "completion", "response"),
    "embeddings": ("embedding",),
}
_SUMS = ("entries", "prompt_tokens", "cached_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class UsageSum:
    """What jobs of one group used. ``group`` has the values of what was grouped by."""

    group: dict[str, Any]
    requests: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int


def usage(
    actor: Actor, kind: UsageKind, stretch: Stretch, wanted: UsageFilter, group_by: Sequence[str] = ()
) -> BucketPage[UsageSum]:
    """A page of buckets; a bucket in which nothing was charged is there and empty."""
    query, source = entries_of(actor, stretch, wanted)
    names = list(dict.fromkeys(group_by))
    by = groups(source, names)
    sums = [cast(func.sum(source.c[name]), BigInteger) for name in _SUMS]
    query = (
        query.add_columns(*by, *sums)
        .where(source.c.kind == "charge", source.c.type.in_(_TYPES[kind]))
        .group_by("bucket", *by)
        .order_by("bucket", *by)
    )
    found: defaultdict[int, list[UsageSum]] = defaultdict(list)
    with transaction() as connection:
        for bucket, *values in connection.execute(query):
            group = dict(zip(names, values, strict=False))
            found[int(bucket.timestamp())].append(UsageSum(group, *values[len(names) :]))
    return stretch.fill(found)

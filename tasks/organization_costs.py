"""What an organization's ledger comes to by the day: charges, refunds and adjustments, without grants."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, cast, func

from tasks.actor import Actor
from tasks.db import transaction
from tasks.usage_buckets import BucketPage, Stretch
from tasks.usage_source import UsageFilter, entries_of, groups

LINE_ITEM = "line_item"

_AMOUNTS = ("amount_usd", "input_usd", "cached_input_usd", "output_usd")
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")


@dataclass(slots=True)
class CostSum:
    """What a group cost. ``quantity`` is in tokens, where it is a line item of tokens."""

    group: dict[str, Any]
    amount_usd: Decimal
    quantity: int | None = None


def costs(
    actor: Actor,
    stretch: Stretch,
    wanted: UsageFilter,
    *,
    group_by: Sequence[str] = (),
    line_items: Sequence[str] = (),
) -> BucketPage[CostSum]:
    """A page of buckets of an hour or more; one in which nothing was entered is there and empty."""
    names = [name for name in dict.fromkeys(group_by) if name != LINE_ITEM]
    found: defaultdict[int, list[CostSum]] = defaultdict(list)
    if LINE_ITEM not in group_by and not line_items:
        for row in _rows(actor, stretch, wanted, names, ("amount_usd",)):
            found[row["start"]].append(CostSum(_group(row, names), row["amount_usd"]))
        return stretch.fill(found)
    sums: dict[tuple[Any, ...], CostSum] = {}
    by = list(dict.fromkeys([*names, "model", "kind"]))
    for row in _rows(actor, stretch, wanted, by, (*_AMOUNTS, *_TOKENS)):
        for item in _line_items(row):
            if line_items and item.group[LINE_ITEM] not in line_items:
                continue
            if LINE_ITEM not in group_by:
                item = CostSum({}, item.amount_usd)
            item.group |= _group(row, names)
            _add(sums, row["start"], item)
    for (start, *_), result in sorted(sums.items(), key=lambda one: one[0][:1]):
        found[start].append(result)
    return stretch.fill(found)


def _rows(
    actor: Actor, stretch: Stretch, wanted: UsageFilter, names: Sequence[str], sums: Sequence[str]
) -> Iterator[dict[str, Any]]:
    query, source = entries_of(actor, stretch, wanted)
    by = groups(source, names)
    summed = [_sum(source, name).label(name) for name in sums]
    query = query.add_columns(*by, *summed).group_by("bucket", *by).order_by("bucket", *by)
    with transaction() as connection:
        for row in connection.execute(query).mappings():
            yield {**row, "start": int(row["bucket"].timestamp())}


def _sum(source: FromClause, name: str) -> ColumnElement[Any]:
    total = func.sum(source.c[name])
    return cast(total, BigInteger) if name in _TOKENS else total


def _line_items(row: dict[str, Any]) -> Iterator[CostSum]:
    """A charge's parts, each of which has its own price; anything else is a line of its own."""
    if row["kind"] != "charge":
        yield CostSum({LINE_ITEM: row["kind"]}, row["amount_usd"])
        return
    uncached = row["prompt_tokens"] - row["cached_tokens"]
    for name, tokens, amount_usd in (
        ("input_tokens", uncached, row["input_usd"]),
        ("cached_input_tokens", row["cached_tokens"], row["cached_input_usd"]),
        ("output_tokens", row["completion_tokens"], row["output_usd"]),
    ):
        if tokens:
            yield CostSum({LINE_ITEM: f"{row['model']}, {name}"}, amount_usd, tokens)


def _add(sums: dict[tuple[Any, ...], CostSum], start: int, item: CostSum) -> None:
    key = start, *item.group.values()
    before = sums.setdefault(key, item)
    if before is not item:
        before.amount_usd += item.amount_usd
        if before.quantity is not None and item.quantity is not None:
            before.quantity += item.quantity


def _group(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}

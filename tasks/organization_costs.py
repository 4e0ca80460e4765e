"""What an organization's ledger comes to by the day: charges, refunds and adjustments, without grants."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    FromClause,
    cast,
    func,
    literal,
    null,
    select,
    true,
    union_all,
)

from tasks.actor import Actor
from tasks.db import transaction
from tasks.usage_buckets import BucketPage, Stretch
from tasks.usage_source import UsageFilter, entries_of, groups

LINE_ITEM = "line_item"


@dataclass(frozen=True, slots=True)
class CostSum:
    """What a group cost. ``quantity`` is in tokens, where it is a line item of tokens."""

    group: dict[str, Any]
    amount_usd: Decimal
    quantity: int | None


def costs(
    actor: Actor,
    stretch: Stretch,
    wanted: UsageFilter,
    *,
    group_by: Sequence[str] = (),
    line_items: Sequence[str] = (),
) -> BucketPage[CostSum]:
    """A page of buckets of an hour or more; one in which nothing was entered is there and empty."""
    query, source = entries_of(actor, stretch, wanted)
    by = groups(source, [name for name in dict.fromkeys(group_by) if name != LINE_ITEM])
    amount: ColumnElement[Any] = source.c.amount_usd
    quantity: ColumnElement[Any] = null()
    if LINE_ITEM in group_by or line_items:
        items = _line_items(source)
        query = query.join(items, true())
        amount = items.c.amount_usd
        if line_items:
            query = query.where(items.c.line_item.in_(line_items))
        if LINE_ITEM in group_by:
            by.append(items.c.line_item)
            quantity = cast(func.sum(items.c.quantity), BigInteger)
    query = query.add_columns(*by, func.sum(amount), quantity)
    names = [column.name for column in by]
    found: defaultdict[int, list[CostSum]] = defaultdict(list)
    with transaction() as connection:
        rows = connection.execute(query.group_by("bucket", *by).order_by("bucket", *by))
        for bucket, *values, amount_usd, tokens in rows:
            found[bucket].append(CostSum(dict(zip(names, values, strict=True)), amount_usd, tokens))
    return stretch.fill(found)


def _line_items(source: FromClause) -> FromClause:
    """A charge's parts, each of which has its own price; anything else is a line of its own."""
    column = source.c
    charge = column.kind == "charge"
    parts = [
        select(
            (column.model + literal(f", {name}")).label(LINE_ITEM),
            amount.label("amount_usd"),
            tokens.label("quantity"),
        )
        .where(charge, tokens > 0)
        .correlate(source)
        for name, amount, tokens in (
            ("input_tokens", column.input_usd, column.prompt_tokens - column.cached_tokens),
            ("cached_input_tokens", column.cached_input_usd, column.cached_tokens),
            ("output_tokens", column.output_usd, column.completion_tokens),
        )
    ]
    whole = select(column.kind, column.amount_usd, cast(null(), BigInteger)).where(~charge).correlate(source)
    return union_all(*parts, whole).lateral("items")

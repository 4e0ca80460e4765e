"""Pages of lists that are read in the order of their ids."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import Connection, Select
from sqlalchemy.orm import InstrumentedAttribute

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFilter:
    """Which page: ``after`` and ``before`` are ids, exclusive.

    They are places rather than objects: what has gone since it was listed still has its place, so a
    client may delete what it pages through.
    """

    limit: int = 20
    after: str | None = None
    before: str | None = None
    order: Literal["asc", "desc"] = "asc"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    items: list[Item]
    has_more: bool


def read_page(
    connection: Connection,
    query: Select[*tuple[Any, ...]],
    place: InstrumentedAttribute[str],
    wanted: PageFilter,
    make: Callable[..., Item],
) -> Page[Item]:
    """A page of a query, each row ``make`` of its columns by name."""
    newest_first = wanted.order == "desc"
    if wanted.after is not None:
        query = query.where(place < wanted.after if newest_first else place > wanted.after)
    if wanted.before is not None:
        query = query.where(place > wanted.before if newest_first else place < wanted.before)
    # With only `before`, the page wanted is the one that ends just ahead of it.
    backwards = wanted.before is not None and wanted.after is None
    order = place.desc() if newest_first != backwards else place.asc()
    rows = connection.execute(query.order_by(order).limit(wanted.limit + 1)).mappings().all()
    items = [make(**row) for row in rows[: wanted.limit]]
    return Page(items[::-1] if backwards else items, has_more=len(rows) > wanted.limit)

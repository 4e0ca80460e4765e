"""A page of items, wherever they come from."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from tasks.errors import InvalidRequest
from tasks.response_turns import PlacedItem
from tasks.wire.item_ids import ItemPlace, item_place
from tasks.wire.shown_items import ItemListBody, item_list


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFilter:
    """Which page: ``after`` is an item's id, exclusive."""

    limit: int = 20
    after: str | None = None
    order: Literal["asc", "desc"] = "desc"

    @property
    def newest_first(self) -> bool:
        return self.order == "desc"

    @property
    def after_place(self) -> ItemPlace | None:
        """Raises InvalidRequest for what can be no item's id."""
        if self.after is None:
            return None
        place = item_place(self.after)
        if place is None:
            raise InvalidRequest(f"after names no item: {self.after!r}.", param="after")
        return place


def take_page(items: Iterable[PlacedItem], wanted: ItemFilter) -> ItemListBody:
    """The page of items that come in the order wanted."""
    after = wanted.after_place
    beyond = (item.shown for item in items if after is None or _is_beyond(item.place, after, wanted))
    page = list(islice(beyond, wanted.limit + 1))
    return item_list(page[: wanted.limit], has_more=len(page) > wanted.limit)


def _is_beyond(place: ItemPlace, after: ItemPlace, wanted: ItemFilter) -> bool:
    return place < after if wanted.newest_first else place > after

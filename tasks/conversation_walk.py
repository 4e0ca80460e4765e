"""Going through a conversation, item by item, in either direction, without reading it all."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from sqlalchemy import Connection, select, tuple_

from tasks.models import ConversationItem, Job, JobStatus, RemovedConversationItem
from tasks.response_turns import PlacedItem, responses_of, select_turns, turn_items
from tasks.wire.item_ids import ItemPlace
from tasks.wire.shown_items import shown_item

_CHUNK = 50


@dataclass(frozen=True, slots=True)
class ConversationWalk:
    """From ``start`` on, that place included; from the beginning (or the end) where it is None.

    Works inside the caller's transaction.
    """

    connection: Connection
    project_id: str
    conversation_id: str
    start: ItemPlace | None = None
    newest_first: bool = False

    def items(self) -> Iterator[PlacedItem]:
        removed = self._removed()
        both = heapq.merge(
            self._added(), self._of_responses(), key=attrgetter("place"), reverse=self.newest_first
        )
        for item in both:
            if item.place not in removed and not self._is_before_start(item.place):
                yield item

    def _is_before_start(self, place: ItemPlace) -> bool:
        if self.start is None:
            return False
        return place > self.start if self.newest_first else place < self.start

    def _removed(self) -> set[ItemPlace]:
        query = select(RemovedConversationItem.digits, RemovedConversationItem.number).where(
            RemovedConversationItem.conversation_id == self.conversation_id
        )
        return {ItemPlace(row.digits, row.number) for row in self.connection.execute(query)}

    def _added(self) -> Iterator[PlacedItem]:
        """Items added by hand."""
        digits, number = ConversationItem.digits, ConversationItem.number
        query = select(digits, number, ConversationItem.item).where(
            ConversationItem.conversation_id == self.conversation_id
        )
        query = query.order_by(*((digits.desc(), number.desc()) if self.newest_first else (digits, number)))
        bound = None if self.start is None else (self.start.digits, self.start.number)
        condition = tuple_(digits, number)
        page = query
        if bound is not None:
            page = query.where(condition <= bound if self.newest_first else condition >= bound)
        while rows := self.connection.execute(page.limit(_CHUNK)).all():
            for row in rows:
                place = ItemPlace(row.digits, row.number)
                yield PlacedItem(place, shown_item(row.item, row.digits, row.number))
            bound = (rows[-1].digits, rows[-1].number)
            page = query.where(condition < bound if self.newest_first else condition > bound)

    def _of_responses(self) -> Iterator[PlacedItem]:
        """Items of responses that are completed: before, neither question nor answer belongs to it."""
        query = select_turns(
            *responses_of(self.project_id),
            Job.conversation_id == self.conversation_id,
            Job.status == JobStatus.COMPLETED,
        ).order_by(Job.id.desc() if self.newest_first else Job.id)
        page = query
        if self.start is not None:
            job_id = self.start.job_id
            page = query.where(Job.id <= job_id if self.newest_first else Job.id >= job_id)
        while rows := self.connection.execute(page.limit(_CHUNK)).mappings().all():
            for row in rows:
                items = turn_items(row)
                yield from reversed(items) if self.newest_first else items
            last = rows[-1]["job_id"]
            page = query.where(Job.id < last if self.newest_first else Job.id > last)

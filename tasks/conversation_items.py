"""The items of a conversation: those of its responses, and those added by hand, in the order of time."""

from collections.abc import Sequence
from itertools import islice

from sqlalchemy import Connection, delete, insert
from sqlalchemy.dialects.postgresql import insert as upsert
from uuid_utils import uuid7

from tasks import conversations
from tasks.conversation_walk import ConversationWalk
from tasks.conversations import ConversationRecord
from tasks.db import transaction
from tasks.errors import ItemNotFound
from tasks.item_page import ItemFilter, take_page
from tasks.models import ConversationItem, RemovedConversationItem
from tasks.response_turns import PlacedItem
from tasks.wire.item_ids import item_place
from tasks.wire.response_items import Item
from tasks.wire.shown_items import ItemListBody, ShownItem, item_list, shown_item

MAX_CONTEXT = 2000


def create_conversation(
    project_id: str, metadata: dict[str, str], items: Sequence[Item]
) -> ConversationRecord:
    """A conversation with its first items."""
    with transaction() as connection:
        made = conversations.create(connection, project_id, metadata)
        _add(connection, made.id, items)
    return made


def add_items(project_id: str, conversation_id: str, items: Sequence[Item]) -> ItemListBody:
    """Append items; returns them under their ids. Raises ConversationNotFound."""
    with transaction() as connection:
        conversations.read(connection, project_id, conversation_id)
        added = _add(connection, conversation_id, items)
    return item_list(added, has_more=False)


def list_items(project_id: str, conversation_id: str, wanted: ItemFilter) -> ItemListBody:
    """Raises ConversationNotFound, InvalidRequest for a cursor that can be no item."""
    start = wanted.after_place
    with transaction() as connection:
        conversations.read(connection, project_id, conversation_id)
        walk = ConversationWalk(connection, project_id, conversation_id, start, wanted.newest_first)
        return take_page(walk.items(), wanted)


def get_item(project_id: str, conversation_id: str, item_id: str) -> ShownItem:
    """Raises ConversationNotFound, ItemNotFound."""
    with transaction() as connection:
        conversations.read(connection, project_id, conversation_id)
        return _find(connection, project_id, conversation_id, item_id).shown


def remove_item(project_id: str, conversation_id: str, item_id: str) -> ConversationRecord:
    """Take an item out; a response that it came from stays. Raises ConversationNotFound, ItemNotFound."""
    with transaction() as connection:
        conversation = conversations.read(connection, project_id, conversation_id)
        place = _find(connection, project_id, conversation_id, item_id).place
        added = (
            ConversationItem.conversation_id == conversation_id,
            ConversationItem.digits == place.digits,
            ConversationItem.number == place.number,
        )
        if connection.execute(delete(ConversationItem).where(*added)).rowcount == 0:
            values = {"conversation_id": conversation_id, "digits": place.digits, "number": place.number}
            connection.execute(upsert(RemovedConversationItem).values(values).on_conflict_do_nothing())
    return conversation


def context_items(project_id: str, conversation_id: str) -> tuple[list[PlacedItem], bool]:
    """The latest items, oldest first, and whether older ones were left out. Raises ConversationNotFound."""
    with transaction() as connection:
        conversations.read(connection, project_id, conversation_id)
        walk = ConversationWalk(connection, project_id, conversation_id, newest_first=True)
        latest = list(islice(walk.items(), MAX_CONTEXT + 1))
    return latest[:MAX_CONTEXT][::-1], len(latest) > MAX_CONTEXT


def _add(connection: Connection, conversation_id: str, items: Sequence[Item]) -> list[ShownItem]:
    digits = uuid7().hex
    rows = [
        {"conversation_id": conversation_id, "digits": digits, "number": number, "item": item}
        for number, item in enumerate(items)
    ]
    if rows:
        connection.execute(insert(ConversationItem), rows)
    return [shown_item(item, digits, number) for number, item in enumerate(items)]


def _find(connection: Connection, project_id: str, conversation_id: str, item_id: str) -> PlacedItem:
    place = item_place(item_id)
    if place is not None:
        walk = ConversationWalk(connection, project_id, conversation_id, start=place)
        found = next(walk.items(), None)
        if found is not None and found.shown.id == item_id:
            return found
    raise ItemNotFound(f"There is no item {item_id!r} in this conversation.", param="item_id")

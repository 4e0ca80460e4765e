"""What came before a response, from wherever the request says that it goes on."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, tuple_

from tasks.conversation_items import context_items
from tasks.db import transaction
from tasks.errors import ConversationNotFound, InvalidRequest
from tasks.models import Conversation, ConversationItem, Job
from tasks.response_chain import chain_items
from tasks.response_turns import PlacedItem, kept_items_of, responses_of, select_turns, turn_items
from tasks.wire.item_ids import ItemPlace, item_place
from tasks.wire.response_items import Item, ItemReference, input_items, kept_items
from tasks.wire.response_plan import Context
from tasks.wire.responses import PromptFields
from tasks.wire.shown_items import ShownItem, kept_item, shown_item


def context_of(project_id: str, request: PromptFields) -> Context:
    """Raises InvalidRequest naming the field that leads nowhere, and ConversationNotFound."""
    known = known_items(project_id, input_items(request.input), "input")
    if request.previous_response_id is not None:
        if request.conversation_id is not None:
            raise InvalidRequest(
                "previous_response_id and conversation exclude each other.", param="previous_response_id"
            )
        placed, cut = chain_items(project_id, request.previous_response_id)
    elif request.conversation_id is not None:
        placed, cut = _conversation(project_id, request.conversation_id)
    else:
        placed, cut = [], False
    return Context(tuple(kept_items_of(placed)), cut, known)


def _conversation(project_id: str, conversation_id: str) -> tuple[list[PlacedItem], bool]:
    try:
        return context_items(project_id, conversation_id)
    except ConversationNotFound as error:
        raise ConversationNotFound(error.message, param="conversation") from None


def kept_input(project_id: str, items: Sequence[Any], param: str) -> list[Item]:
    """The items of a body as they are kept. Raises InvalidRequest for a reference that leads nowhere."""
    return kept_items(items, known_items(project_id, items, param))


def known_items(project_id: str, items: Sequence[Any], param: str) -> dict[str, Item]:
    """The items behind references, by their ids. Raises InvalidRequest for one that is not there."""
    wanted = {
        item.id: f"{param}[{index}].id" for index, item in enumerate(items) if isinstance(item, ItemReference)
    }
    if not wanted:
        return {}
    found = _find(project_id, {place for item_id in wanted if (place := item_place(item_id))})
    known = {item_id: kept_item(found[item_id]) for item_id in wanted if item_id in found}
    for item_id, path in wanted.items():
        if known.get(item_id) is None:
            raise InvalidRequest(f"There is no item {item_id!r}.", param=path, code="item_not_found")
    return {item_id: item for item_id, item in known.items() if item is not None}


def _find(project_id: str, places: set[ItemPlace]) -> dict[str, ShownItem]:
    """Items of responses that can be read again, and those added to conversations."""
    readable = Job.stored | Job.conversation_id.is_not(None)
    turns = select_turns(*responses_of(project_id), readable, Job.id.in_({place.job_id for place in places}))
    added = (
        select(ConversationItem.digits, ConversationItem.number, ConversationItem.item)
        .join(Conversation, Conversation.id == ConversationItem.conversation_id)
        .where(
            Conversation.project_id == project_id,
            tuple_(ConversationItem.digits, ConversationItem.number).in_(
                [(place.digits, place.number) for place in places]
            ),
        )
    )
    with transaction() as connection:
        rows = connection.execute(turns).mappings().all()
        shown = [shown_item(row.item, row.digits, row.number) for row in connection.execute(added)]
    shown += [placed.shown for row in rows for placed in turn_items(row)]
    return {item.id: item for item in shown}

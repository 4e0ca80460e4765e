"""Conversations and their items, on a real Postgres."""

from collections.abc import Sequence
from typing import Any, Literal

import pytest
from sqlalchemy import func, select

from tasks import conversation_items, conversations, responses
from tasks.db import transaction
from tasks.errors import ContextLengthExceeded, ConversationNotFound, InvalidRequest, ItemNotFound
from tasks.item_page import ItemFilter
from tasks.keys import Principal
from tasks.models import ConversationItem, JobStatus
from tasks.projects import create_project
from tasks.response_context import context_of
from tasks.wire.item_ids import item_id
from tasks.wire.responses import RESPONSE_REQUEST
from tests.integration.tasks.response_jobs import Responder, digits

Order = Literal["asc", "desc"]


@pytest.fixture
def responder(principal: Principal) -> Responder:
    return Responder(principal)


@pytest.fixture
def stranger() -> Responder:
    return Responder(Principal(create_project("other").id, None))  # type: ignore[arg-type]


@pytest.fixture
def conversation(responder: Responder) -> str:
    return conversation_items.create_conversation(responder.project_id, {}, []).id


def messages(*texts: str) -> list[dict[str, Any]]:
    return [
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}
        for text in texts
    ]


def add(responder: Responder, conversation: str, *texts: str) -> list[str]:
    """Adds messages by hand; returns their ids."""
    added = conversation_items.add_items(responder.project_id, conversation, messages(*texts))
    return [item.id for item in added.data]


def texts_of(items: Sequence[Any]) -> list[str]:
    return [item.content[0].text for item in items]


def pages(responder: Responder, conversation: str, order: Order = "asc", limit: int = 20) -> list[str]:
    """All texts, page after page."""
    seen: list[str] = []
    after = None
    while True:
        wanted = ItemFilter(limit=limit, after=after, order=order)
        page = conversation_items.list_items(responder.project_id, conversation, wanted)
        assert len(page.data) <= limit
        seen += texts_of(page.data)
        after = page.last_id
        if not page.has_more:
            return seen


def test_conversation_is_made_read_changed_and_deleted(responder: Responder) -> None:
    made = conversation_items.create_conversation(responder.project_id, {"a": "b"}, messages("one"))
    assert made.id.startswith("conv_")
    assert conversations.get(responder.project_id, made.id) == made
    changed = conversations.set_metadata(responder.project_id, made.id, {"c": "d"})
    assert changed.metadata == {"c": "d"}
    assert pages(responder, made.id) == ["one"]
    conversations.delete_conversation(responder.project_id, made.id)
    with transaction() as connection:
        assert connection.execute(select(func.count()).select_from(ConversationItem)).scalar_one() == 0
    with pytest.raises(ConversationNotFound):
        conversations.get(responder.project_id, made.id)


def test_anothers_conversation_is_not_there(
    responder: Responder, stranger: Responder, conversation: str
) -> None:
    (item,) = add(responder, conversation, "one")
    project_id = stranger.project_id
    attempts = [
        lambda: conversations.get(project_id, conversation),
        lambda: conversations.set_metadata(project_id, conversation, {}),
        lambda: conversations.delete_conversation(project_id, conversation),
        lambda: conversation_items.add_items(project_id, conversation, messages("x")),
        lambda: conversation_items.list_items(project_id, conversation, ItemFilter()),
        lambda: conversation_items.get_item(project_id, conversation, item),
        lambda: conversation_items.remove_item(project_id, conversation, item),
        lambda: stranger.begin("x", conversation=conversation),
    ]
    for attempt in attempts:
        with pytest.raises(ConversationNotFound, match=conversation):
            attempt()
    assert pages(responder, conversation) == ["one"]


def test_conversation_that_a_response_names_wrongly_is_refused_by_the_field(responder: Responder) -> None:
    with pytest.raises(ConversationNotFound) as caught:
        responder.begin("x", conversation="conv_1")
    assert caught.value.param == "conversation"


def test_responses_and_added_items_stand_in_the_order_of_time(
    responder: Responder, conversation: str
) -> None:
    add(responder, conversation, "one", "two")
    responder.respond("three", "four", conversation=conversation)
    add(responder, conversation, "five")
    responder.respond("six", "seven", conversation={"id": conversation})
    expected = ["one", "two", "three", "four", "five", "six", "seven"]
    for limit in (1, 2, 3, 20):
        assert pages(responder, conversation, "asc", limit) == expected
        assert pages(responder, conversation, "desc", limit) == expected[::-1]


def test_pages_go_through_more_items_than_are_read_at_once(
    responder: Responder, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.conversation_walk._CHUNK", 2)
    expected = []
    for number in range(5):
        add(responder, conversation, f"a{number}", f"b{number}", f"c{number}")
        responder.respond(f"q{number}", f"r{number}", conversation=conversation)
        expected += [f"{letter}{number}" for letter in "abcqr"]
    for limit in (1, 4, 20):
        assert pages(responder, conversation, "asc", limit) == expected
        assert pages(responder, conversation, "desc", limit) == expected[::-1]


def test_response_is_told_what_the_conversation_holds_and_adds_to_it_once_completed(
    responder: Responder, conversation: str
) -> None:
    add(responder, conversation, "one")
    running = responder.begin("two", conversation=conversation)
    assert pages(responder, conversation) == ["one"]
    responder.end(running, "three")
    assert pages(responder, conversation) == ["one", "two", "three"]
    body = {"model": "smollm2", "input": "four", "conversation": conversation}
    context = context_of(responder.project_id, RESPONSE_REQUEST.validate_python(body))
    assert [item["content"][0]["text"] for item in context.items] == ["one", "two", "three"]


@pytest.mark.parametrize("status", [JobStatus.CANCELLED, JobStatus.FAILED, JobStatus.EXPIRED])
def test_response_that_came_to_nothing_adds_nothing(
    responder: Responder, conversation: str, status: JobStatus
) -> None:
    running = responder.begin("two", conversation=conversation)
    responder.end(running, "thr", status)
    assert pages(responder, conversation) == []


def test_response_that_is_not_stored_adds_to_its_conversation_all_the_same(
    responder: Responder, conversation: str
) -> None:
    responder.respond("one", "two", conversation=conversation, store=False)
    assert pages(responder, conversation) == ["one", "two"]


def test_deleted_response_takes_its_items_with_it(responder: Responder, conversation: str) -> None:
    response_id = responder.respond("one", "two", conversation=conversation)
    responses.delete(responder.project_id, response_id)
    assert pages(responder, conversation) == []


def test_response_of_a_conversation_is_gone_on_from_by_the_conversation(
    responder: Responder, conversation: str
) -> None:
    response_id = responder.respond("one", "two", conversation=conversation)
    with pytest.raises(InvalidRequest, match=conversation) as caught:
        responder.begin("three", previous_response_id=response_id)
    assert caught.value.param == "previous_response_id"


def test_item_is_read_and_removed_wherever_it_came_from(responder: Responder, conversation: str) -> None:
    (added,) = add(responder, conversation, "one")
    response_id = responder.respond("two", "three", conversation=conversation)
    answer = item_id("message", digits(response_id), 1)
    for item, text in ((added, "one"), (answer, "three")):
        shown = conversation_items.get_item(responder.project_id, conversation, item)
        assert (shown.id, texts_of([shown])) == (item, [text])
        assert conversation_items.remove_item(responder.project_id, conversation, item).id == conversation
        for again in (conversation_items.get_item, conversation_items.remove_item):
            with pytest.raises(ItemNotFound):
                again(responder.project_id, conversation, item)
    assert pages(responder, conversation) == ["two"]
    assert pages(responder, conversation, "desc", 1) == ["two"]
    assert responses.get(responder.project_id, response_id).choices[0].text == "three"


def test_page_behind_a_removed_item_goes_on_where_it_stood(responder: Responder, conversation: str) -> None:
    ids = add(responder, conversation, "one", "two", "three")
    conversation_items.remove_item(responder.project_id, conversation, ids[1])
    wanted = ItemFilter(after=ids[1], order="asc")
    page = conversation_items.list_items(responder.project_id, conversation, wanted)
    assert texts_of(page.data) == ["three"]


def test_item_of_another_conversation_is_not_there(responder: Responder, conversation: str) -> None:
    other = conversation_items.create_conversation(responder.project_id, {}, []).id
    (added,) = add(responder, other, "one")
    answer = item_id("message", digits(responder.respond("two", "three", conversation=other)), 1)
    for item in (added, answer, "msg_1", item_id("message", "0" * 32, 0)):
        with pytest.raises(ItemNotFound, match=item):
            conversation_items.get_item(responder.project_id, conversation, item)


def test_item_of_a_conversation_is_given_by_its_id(
    responder: Responder, stranger: Responder, conversation: str
) -> None:
    (added,) = add(responder, conversation, "one")
    reference: list[dict[str, Any]] = [{"type": "item_reference", "id": added}]
    responder.begin(reference)
    with pytest.raises(InvalidRequest) as caught:
        stranger.begin(reference)
    assert caught.value.param == "input[0].id"


def test_conversation_that_is_too_long_is_cut_or_refused(
    responder: Responder, conversation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.conversation_items.MAX_CONTEXT", 2)
    add(responder, conversation, "one", "two", "three")
    items, cut = conversation_items.context_items(responder.project_id, conversation)
    assert (texts_of([item.shown for item in items]), cut) == (["two", "three"], True)
    with pytest.raises(ContextLengthExceeded):
        responder.begin("x", conversation=conversation)
    assert responder.begin("x", conversation=conversation, truncation="auto")

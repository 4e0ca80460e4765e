"""The messages of a stored chat, a page at a time."""

from typing import Any

import pytest
from openai.types.chat import ChatCompletionStoreMessage

from tasks.wire.stored_chats import StoredMessage, message_list_body, stored_messages
from tests.unit.tasks.wire.results import DIGITS, make_result

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
PARTS = [{"type": "text", "text": "hi"}]
MESSAGES: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": PARTS, "name": "ada"},
    {"role": "assistant", "tool_calls": [CALL]},
    {"role": "tool", "content": "42", "tool_call_id": "c1"},
]
IDS = [f"chatcmpl-{DIGITS}-{index}" for index in range(4)]


@pytest.fixture
def messages() -> list[StoredMessage]:
    return stored_messages(make_result({"model": "smollm2", "messages": MESSAGES}, []))


def test_messages_are_shown_as_they_were_sent(messages: list[StoredMessage]) -> None:
    system, user, assistant, tool = messages
    assert [message.id for message in messages] == IDS
    assert (system.role, system.content, system.content_parts) == ("system", "Be brief.", None)
    assert (user.content, user.content_parts, user.name) == (None, PARTS, "ada")
    assert (assistant.content, assistant.tool_calls) == (None, [CALL])
    assert (tool.content, tool.tool_call_id) == ("42", "c1")
    assert ChatCompletionStoreMessage.model_validate(assistant.model_dump()).tool_calls


@pytest.mark.parametrize(
    ("after", "limit", "order", "shown", "more"),
    [
        (None, 3, "asc", IDS[:3], True),
        (IDS[2], 3, "asc", IDS[3:], False),
        (None, 2, "desc", IDS[:1:-1], True),
        (IDS[2], 4, "desc", IDS[1::-1], False),
        (IDS[3], 4, "asc", [], False),
    ],
)
def test_pages_follow_one_another(
    messages: list[StoredMessage], after: str | None, limit: int, order: Any, shown: list[str], more: bool
) -> None:
    page = message_list_body(messages, after=after, limit=limit, order=order)
    assert page is not None
    assert [message.id for message in page.data] == shown
    assert (page.first_id, page.last_id) == ((shown[0], shown[-1]) if shown else (None, None))
    assert page.has_more is more


def test_page_after_a_message_that_is_not_there_is_none(messages: list[StoredMessage]) -> None:
    assert message_list_body(messages, after="x", limit=2, order="asc") is None

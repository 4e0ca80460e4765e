"""`/v1/conversations` as users of the OpenAI SDK see it, with the real model behind it."""

from typing import Any

import httpx
import openai
import pytest

from tests.acceptance.async_sdk import run_async
from tests.acceptance.conftest import LiveServer

ASKED: dict[str, Any] = {"model": "smollm2", "temperature": 0, "max_output_tokens": 16}


def user(text: str) -> Any:
    return {"type": "message", "role": "user", "content": text}


def texts(items: Any) -> list[str]:
    return [item.content[0].text for item in items]


def test_conversation_is_made_changed_and_deleted(sdk: openai.OpenAI) -> None:
    made = sdk.conversations.create(metadata={"a": "b"}, items=[user("one")])
    assert (made.object, made.metadata) == ("conversation", {"a": "b"})
    assert sdk.conversations.retrieve(made.id) == made
    assert sdk.conversations.update(made.id, metadata={"c": "d"}).metadata == {"c": "d"}
    deleted = sdk.conversations.delete(made.id)
    assert (deleted.id, deleted.deleted, deleted.object) == (made.id, True, "conversation.deleted")
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.conversations.retrieve(made.id)
    assert missing.value.code == "conversation_not_found"


def test_responses_go_on_with_a_conversation_and_add_to_it(sdk: openai.OpenAI) -> None:
    conversation = sdk.conversations.create()
    first = sdk.responses.create(input="My name is Zoe.", conversation=conversation.id, **ASKED)
    assert first.conversation is not None
    assert first.conversation.id == conversation.id
    sdk.conversations.items.create(conversation.id, items=[user("I like mills.")])
    *_, last = sdk.responses.create(
        input="What is my name?", conversation=conversation.id, stream=True, **ASKED
    )
    second = last.response
    expected = ["My name is Zoe.", first.output_text, "I like mills.", "What is my name?", second.output_text]
    assert texts(sdk.conversations.items.list(conversation.id, limit=2, order="asc")) == expected
    assert texts(sdk.conversations.items.list(conversation.id, limit=2)) == expected[::-1]
    listed = {item.id for item in sdk.conversations.items.list(conversation.id)}
    assert {first.output[0].id, second.output[0].id} < listed


def test_item_is_read_and_removed(sdk: openai.OpenAI) -> None:
    conversation = sdk.conversations.create(items=[user("one")])
    response = sdk.responses.create(input="two", conversation=conversation.id, **ASKED)
    added = sdk.conversations.items.create(
        conversation.id, items=[user("three"), user("four")], include=["message.output_text.logprobs"]
    )
    assert (texts(added.data), added.has_more) == (["three", "four"], False)
    answer = response.output[0].id
    assert answer is not None
    for item_id in (answer, added.data[0].id):
        assert item_id is not None
        found = sdk.conversations.items.retrieve(item_id, conversation_id=conversation.id)
        assert getattr(found, "id", None) == item_id
        assert sdk.conversations.items.delete(item_id, conversation_id=conversation.id) == conversation
        with pytest.raises(openai.NotFoundError) as missing:
            sdk.conversations.items.retrieve(item_id, conversation_id=conversation.id)
        assert missing.value.code == "item_not_found"
    assert texts(sdk.conversations.items.list(conversation.id, order="asc")) == ["one", "two", "four"]


def test_calls_and_outputs_are_items_too(sdk: openai.OpenAI) -> None:
    call: Any = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    output: Any = {"type": "function_call_output", "call_id": "c", "output": "42"}
    conversation = sdk.conversations.create(items=[user("one"), call, output])
    items = list(sdk.conversations.items.list(conversation.id, order="asc"))
    assert [item.type for item in items] == ["message", "function_call", "function_call_output"]
    response = sdk.responses.create(input="So?", conversation={"id": conversation.id}, **ASKED)
    assert response.status in ("completed", "incomplete")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": [user("x")] * 21}, "items"),
        ({"items": [{"type": "item_reference", "id": "msg_1"}]}, "items[0].id"),
        ({"items": [{"type": "web_search_call"}]}, "items[0].type"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
    ],
)
def test_wrong_conversation_is_a_400_that_names_the_field(
    sdk: openai.OpenAI, body: dict[str, Any], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.conversations.create(**body)
    assert refused.value.param == param


def test_anothers_conversation_is_not_there(sdk: openai.OpenAI, other_client: httpx.Client) -> None:
    conversation = sdk.conversations.create(items=[user("one")])
    (item,) = sdk.conversations.items.list(conversation.id)
    for method, path, body in (
        ("GET", "", None),
        ("POST", "", {"metadata": {}}),
        ("DELETE", "", None),
        ("GET", "/items", None),
        ("POST", "/items", {"items": [user("x")]}),
        ("GET", f"/items/{getattr(item, 'id', '')}", None),
        ("DELETE", f"/items/{getattr(item, 'id', '')}", None),
    ):
        answer = other_client.request(method, f"/v1/conversations/{conversation.id}{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "conversation_not_found")
    asked = {"model": "smollm2", "input": "x", "conversation": conversation.id}
    assert other_client.post("/v1/responses", json=asked).status_code == 404


def test_asynchronous_client_does_the_same(live_server: LiveServer) -> None:
    async def talk(client: openai.AsyncOpenAI) -> None:
        conversation = await client.conversations.create(items=[user("one")])
        response = await client.responses.create(input="two", conversation=conversation.id, **ASKED)
        items = [item async for item in client.conversations.items.list(conversation.id, order="asc")]
        assert texts(items) == ["one", "two", response.output_text]
        await client.conversations.delete(conversation.id)
        with pytest.raises(openai.NotFoundError):
            await client.conversations.items.list(conversation.id)

    run_async(live_server, talk)

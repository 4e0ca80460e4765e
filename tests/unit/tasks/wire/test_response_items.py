"""Items: from what clients send to what is kept, and from there to messages."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from tasks.errors import InvalidRequest
from tasks.wire.item_ids import ItemPlace, call_id, item_id, item_place
from tasks.wire.response_items import Input, Item, input_items, kept_items
from tasks.wire.response_messages import chat_messages, check_calls, without_orphans
from tasks.wire.shown_items import kept_item, shown_item

INPUT: TypeAdapter[Any] = TypeAdapter(Input)
DIGITS = "0" * 32


def kept(given: Any, known: dict[str, Item] | None = None) -> list[Item]:
    return kept_items(input_items(INPUT.validate_python(given)), known or {})


def message(role: str, text: str) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def call(call_id: str, arguments: str = "{}") -> Item:
    return {"type": "function_call", "call_id": call_id, "name": "f", "arguments": arguments}


def output(call_id: str, text: str = "42") -> Item:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("hi", message("user", "hi")),
        ([{"role": "user", "content": "hi"}], message("user", "hi")),
        ([{"type": "message", "role": "developer", "content": "x"}], message("developer", "x")),
        ([{"role": "assistant", "content": "x"}], message("assistant", "x")),
        ([{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}], message("user", "hi")),
        (
            [
                {
                    "type": "message",
                    "id": "msg_1",
                    "status": "completed",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "x", "annotations": [], "logprobs": []}],
                }
            ],
            message("assistant", "x"),
        ),
        (
            [{"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}],
            message("assistant", "no"),
        ),
        ([{**call("c"), "id": "fc_1", "status": "completed"}], call("c")),
        ([output("c")], output("c")),
        (
            [
                {
                    **output("c"),
                    "output": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}],
                }
            ],
            output("c", "a\nb"),
        ),
    ],
)
def test_whatever_its_form_an_item_is_kept_in_one(given: Any, expected: Item) -> None:
    assert kept(given) == [expected]


def test_reference_is_replaced_by_what_it_names() -> None:
    known = {"msg_1": message("assistant", "x")}
    assert kept([{"type": "item_reference", "id": "msg_1"}], known) == [known["msg_1"]]
    assert kept([{"id": "msg_1"}], known) == [known["msg_1"]]


@pytest.mark.parametrize("item", [message("user", "hi"), message("assistant", ""), call("c"), output("c")])
def test_shown_item_given_back_is_the_same_item(item: Item) -> None:
    shown = shown_item(item, DIGITS, 3)
    assert kept_item(shown) == item
    assert kept([shown.model_dump()]) == [item]


def test_id_tells_the_place_and_what_is_no_id_tells_nothing() -> None:
    shown = item_id("function_call", DIGITS, 12)
    assert shown == f"fc_{DIGITS}_12"
    assert item_place(shown) == ItemPlace(DIGITS, 12)
    assert ItemPlace(DIGITS, 2) < ItemPlace(DIGITS, 10) < ItemPlace("1" + DIGITS[1:], 0)
    for wrong in ("msg_1", f"msg_{DIGITS}", f"msg_{DIGITS}_01", f"xx_{DIGITS}_1", f"msg_{DIGITS}_1\n", ""):
        assert item_place(wrong) is None
    assert call_id(DIGITS, 1) == f"call_{DIGITS}_1"


def test_calls_join_the_assistants_turn_and_outputs_follow() -> None:
    items = [message("user", "hi"), message("assistant", "let me see"), call("a"), call("b"), output("a")]
    messages = chat_messages("be kind", items)
    assert [one["role"] for one in messages] == ["system", "user", "assistant", "tool"]
    assert messages[2]["content"] == "let me see"
    assert [one["id"] for one in messages[2]["tool_calls"]] == ["a", "b"]
    assert messages[3] == {"role": "tool", "tool_call_id": "a", "content": "42"}


def test_call_without_text_ahead_is_a_turn_of_its_own() -> None:
    messages = chat_messages(None, [message("user", "hi"), call("a")])
    assert messages[1]["content"] == ""
    assert messages[1]["tool_calls"][0]["function"] == {"name": "f", "arguments": "{}"}


def test_output_without_its_call_is_refused_by_its_place() -> None:
    check_calls([call("a")], [output("a"), call("b"), output("b")])
    with pytest.raises(InvalidRequest, match="'c'") as caught:
        check_calls([call("a")], [message("user", "hi"), output("c")])
    assert caught.value.param == "input[1].call_id"


def test_output_whose_call_was_left_out_is_left_out_too() -> None:
    assert without_orphans([output("a"), call("b"), output("b")]) == [call("b"), output("b")]

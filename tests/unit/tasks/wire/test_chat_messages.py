"""Conversations in every form that the SDK's types allow."""

from typing import Any

import pytest

from tasks.wire.chat_completions import chat_plan
from tasks.wire.chat_messages import neutral_messages
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST
from tests.unit.tasks.wire.refusals import refusal

USER = {"role": "user", "content": "hi"}
CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}


def neutral(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    body = {"model": "smollm2", "messages": list(messages)}
    return neutral_messages(CHAT_COMPLETION_REQUEST.validate_python(body).messages)


def refused(*messages: dict[str, Any]) -> str | None:
    body = {"model": "smollm2", "messages": list(messages)}
    return refusal(CHAT_COMPLETION_REQUEST, chat_plan, body).param


@pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
def test_text_is_text_whole_or_in_parts(role: str) -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert neutral({"role": role, "content": "a\nb"}) == neutral({"role": role, "content": parts})


def test_names_go_with_their_messages() -> None:
    assert neutral({**USER, "name": "ada"}) == [{**USER, "name": "ada"}]


def test_calls_and_their_answers_stay_together() -> None:
    answer = {"role": "tool", "tool_call_id": "c1", "content": "42"}
    assert neutral(USER, CALLING, answer) == [USER, {**CALLING, "content": ""}, answer]


def test_what_the_sdks_helpers_add_to_an_answer_may_come_back() -> None:
    function = {**CALL["function"], "parsed_arguments": {}}
    echoed = {**CALLING, "parsed": None, "tool_calls": [{**CALL, "index": 0, "function": function}]}
    assert neutral(USER, echoed) == neutral(USER, CALLING)


def test_older_calls_become_todays() -> None:
    called = {"name": "f", "arguments": "{}"}
    older = neutral(
        USER,
        {"role": "assistant", "content": None, "function_call": called},
        {"role": "function", "name": "f", "content": "42"},
    )
    [call] = older[1]["tool_calls"]
    assert call["function"] == called
    assert older[2] == {"role": "tool", "tool_call_id": call["id"], "content": "42"}


def test_refusal_is_what_the_assistant_said() -> None:
    for said in (
        {"content": None, "refusal": "no"},
        {"content": [{"type": "refusal", "refusal": "no"}]},
    ):
        assert neutral(USER, {"role": "assistant", **said})[1]["content"] == "no"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "wizard", "content": "x"}, "messages[0].role"),
        ({"content": "x"}, "messages[0].role"),
        ({"role": "user"}, "messages[0].content"),
        ({"role": "user", "content": None}, "messages[0].content"),
        ({"role": "user", "content": {}}, "messages[0].content"),
        ({"role": "user", "content": []}, "messages[0].content"),
        ({"role": "user", "content": "a\x00"}, "messages[0].content"),
        ({"role": "user", "content": "x", "mood": "y"}, "messages[0].mood"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]},
            "messages[0].content[0].type",
        ),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "file", "file": {}}]},
            "messages[0].content[1].type",
        ),
        ({"role": "assistant", "content": [{"type": "audio"}]}, "messages[0].content[0].type"),
        ({"role": "assistant", "content": None}, "messages[0].content"),
        ({"role": "assistant", "audio": {"id": "a"}}, "messages[0].audio"),
        ({"role": "tool", "content": "x", "tool_call_id": "c9"}, "messages[0].tool_call_id"),
        ({"role": "function", "content": "x", "name": "f"}, "messages[0].name"),
        ({**CALLING, "function_call": CALL["function"]}, "messages[0].function_call"),
        ({**CALLING, "tool_calls": []}, "messages[0].tool_calls"),
        ({**CALLING, "tool_calls": [{**CALL, "type": "custom"}]}, "messages[0].tool_calls[0].type"),
    ],
)
def test_wrong_message_is_refused_by_its_place(message: dict[str, Any], param: str) -> None:
    assert refused(message) == param


def test_text_that_the_template_refuses_is_refused() -> None:
    assert refused({"role": "user", "content": "\ufdd0"}) == "messages"

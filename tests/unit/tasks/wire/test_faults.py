from typing import Any

import pytest
from pydantic import ValidationError

from tasks.errors import InvalidRequest
from tasks.wire.faults import invalid_request
from tasks.wire.job import JOB_REQUEST

CHAT: dict[str, Any] = {"type": "chat", "model": "m", "messages": [{"role": "user", "content": "hi"}]}


def refusal(body: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(ValidationError) as invalid:
        JOB_REQUEST.validate_python(body)
    return invalid_request(invalid.value, body, tagged_by="type")


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"type": "nope"}, "type", "invalid_value"),
        ({"type": ["chat"]}, "type", "invalid_value"),
        ({"messages": None}, "messages", "invalid_type"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "user", "content": ""}]}, "messages[0].content", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": "a"}, {"role": "user"}]},
            "messages[1].content",
            "missing_required_parameter",
        ),
        ({"messages": [{"role": "robot", "content": "a"}]}, "messages[0].role", "invalid_value"),
        (
            {"messages": [{"role": "user", "content": "a", "mood": 1}]},
            "messages[0].mood",
            "unknown_parameter",
        ),
        ({"messages": ["hi"]}, "messages[0]", "invalid_type"),
        ({"messages": [{"role": "user", "content": "a\x00"}]}, "messages[0].content", "invalid_value"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content", "invalid_value"),
        ({"prompt": "both"}, "prompt", "unknown_parameter"),
        ({"chat": {"messages": 1}}, "chat", "unknown_parameter"),
        ({"temperature": "0.5"}, "temperature", "invalid_type"),
        ({"temperature": 2.1}, "temperature", "invalid_value"),
        ({"temperature": float("inf")}, "temperature", "invalid_value"),
        ({"temperature": True}, "temperature", "invalid_type"),
        ({"top_p": 0}, "top_p", "invalid_value"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 1.5}, "max_tokens", "invalid_type"),
        ({"seed": 2**63}, "seed", "invalid_value"),
        ({"stop": 3}, "stop", "invalid_type"),
        ({"stop": ""}, "stop", "invalid_value"),
        ({"stop": []}, "stop", "invalid_value"),
        ({"stop": ["a", 4]}, "stop[1]", "invalid_type"),
        ({"stop": ["a"] * 5}, "stop", "invalid_value"),
        ({"metadata": {"k": 1}}, "metadata.k", "invalid_type"),
        ({"metadata": {"k" * 65: "v"}}, "metadata." + "k" * 65, "invalid_value"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata", "invalid_value"),
        ({"expires_in_seconds": -1}, "expires_in_seconds", "invalid_value"),
    ],
)
def test_wrong_field_is_named_by_its_path(changes: dict[str, Any], param: str, code: str) -> None:
    error = refusal(CHAT | changes)
    assert (error.param, error.code) == (param, code)
    assert param in error.message


@pytest.mark.parametrize("field", ["type", "model", "messages"])
def test_missing_field_is_named(field: str) -> None:
    error = refusal({name: value for name, value in CHAT.items() if name != field})
    assert (error.param, error.code) == (field, "missing_required_parameter")


def test_every_fault_is_listed_and_the_first_leads() -> None:
    error = refusal({"type": "chat", "messages": [{"role": "user", "content": ""}], "temperature": 9, "x": 1})
    assert [fault["param"] for fault in error.details] == ["model", "temperature", "messages[0].content", "x"]
    assert error.param == "model"


def test_key_that_is_no_text_is_refused_without_a_path() -> None:
    error = refusal(CHAT | {"\ud800": 1})
    assert (error.param, error.code) == (None, "invalid_value")


def test_refusal_does_not_quote_what_was_sent() -> None:
    error = refusal(CHAT | {"model": {"secret": "squirrel"}, "messages": "squirrel"})
    assert "squirrel" not in repr((error.message, error.details))

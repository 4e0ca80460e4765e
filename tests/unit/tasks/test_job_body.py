from typing import Any

import pytest
from pydantic import ValidationError

from tasks.wire.job import JOB_REQUEST

CHAT = {"type": "chat", "model": "m", "messages": [{"role": "user", "content": "hi"}]}
COMPLETION = {"type": "completion", "model": "m", "prompt": "hi"}


def faults(body: dict[str, Any]) -> list[tuple[str, ...]]:
    with pytest.raises(ValidationError) as caught:
        JOB_REQUEST.validate_python(body)
    return [tuple(str(part) for part in error["loc"]) for error in caught.value.errors()]


def test_stop_is_one_string_or_a_few() -> None:
    assert JOB_REQUEST.validate_python({**COMPLETION, "stop": "x"}).stop_strings == ("x",)
    assert JOB_REQUEST.validate_python({**COMPLETION, "stop": ["x", "y"]}).stop_strings == ("x", "y")
    assert JOB_REQUEST.validate_python(COMPLETION).stop_strings == ()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"frequency": 1}, "frequency"),
        ({"temperature": 2.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "1"}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"seed": 2**63}, "seed"),
        ({"stop": []}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"metadata": {"k": 1}}, "metadata"),
        ({"metadata": {"k" * 65: "v"}}, "metadata"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "metadata"),
        ({"metadata": {"k": "\x00"}}, "metadata"),
        ({"expires_in_seconds": 0}, "expires_in_seconds"),
        ({"model": ""}, "model"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "\ud800"}, "prompt"),
    ],
)
def test_wrong_value_is_refused_by_its_field(change: dict[str, Any], field: str) -> None:
    assert any(field in location for location in faults({**COMPLETION, **change}))


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user"}],
        [{"role": "wizard", "content": "x"}],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": "a\x00"}],
        [{"role": "user", "content": "x", "name": "y"}],
        "hi",
    ],
)
def test_wrong_messages_are_refused(messages: object) -> None:
    assert any("messages" in location for location in faults({**CHAT, "messages": messages}))


def test_type_must_be_known_and_fit_its_fields() -> None:
    assert faults({**CHAT, "type": "image"})
    assert faults({**COMPLETION, "type": "chat"})
    assert faults({"model": "m", "prompt": "x"})

"""What the responses API takes, and what it refuses by name."""

from typing import Any, cast, get_type_hints

import pytest
from openai.types.responses.input_token_count_params import InputTokenCountParams
from openai.types.responses.response_create_params import ResponseCreateParamsBase
from pydantic import ValidationError

from tasks.errors import InvalidRequest
from tasks.plan import ServiceTier
from tasks.wire.faults import invalid_request
from tasks.wire.fields import UNSUPPORTED
from tasks.wire.responses import (
    INPUT_TOKENS_REQUEST,
    RESPONSE_REQUEST,
    InputTokensRequest,
    ResponseRequest,
    kept_request,
)

BODY = {"model": "m", "input": "hi"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}


def read(**changes: Any) -> ResponseRequest:
    return RESPONSE_REQUEST.validate_python({**BODY, **changes})


def refusal(**changes: Any) -> InvalidRequest:
    body = {**BODY, **changes}
    with pytest.raises(ValidationError) as caught:
        RESPONSE_REQUEST.validate_python(body)
    return invalid_request(caught.value, body)


def test_every_parameter_of_the_sdk_is_known_by_name() -> None:
    ours = {field.alias or name for name, field in ResponseRequest.model_fields.items()}
    assert set(get_type_hints(ResponseCreateParamsBase)) <= ours
    counted = {field.alias or name for name, field in InputTokensRequest.model_fields.items()}
    assert set(get_type_hints(InputTokenCountParams)) <= counted


@pytest.mark.parametrize(
    "change",
    [
        {"access_programs": {"cyber": "standard"}},
        {"context_management": [{"type": "compaction"}]},
        {"image": {"context_compression": "auto"}},
        {"max_tool_calls": 3},
        {"moderation": {"model": "omni"}},
        {"prompt": {"id": "pmpt_1"}},
        {"prompt_cache_options": {"mode": "explicit"}},
        {"prompt_cache_retention": "24h"},
    ],
)
def test_parameter_that_is_not_honoured_is_refused_by_name(change: dict[str, Any]) -> None:
    fault = refusal(**change)
    assert (fault.param, fault.code) == (next(iter(change)), UNSUPPORTED)
    assert getattr(read(**dict.fromkeys(change)), next(iter(change))) is None


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"reasoning": {"effort": "high"}}, "reasoning.effort"),
        ({"reasoning": {"effort": None, "summary": "auto"}}, "reasoning.summary"),
        ({"text": {"verbosity": "low"}}, "text.verbosity"),
        ({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]}, "include[1]"),
        ({"stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation"),
        ({"tools": [FUNCTION, {"type": "web_search"}]}, "tools[1].type"),
        ({"tools": [{**FUNCTION, "async": True}]}, "tools[0].async"),
        ({"tools": [{**FUNCTION, "output_schema": {}}]}, "tools[0].output_schema"),
        ({"tool_choice": {"type": "mcp", "server_label": "x"}}, "tool_choice.type"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        ({"input": [{"role": "user", "content": [{"type": None, "text": "x"}]}]}, "input[0].content[0].type"),
        ({"tools": [{"type": None, "name": "f"}]}, "tools[0].type"),
        ({"tool_choice": {"type": None}}, "tool_choice.type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "x"}]}]},
            "input[0].content[0].type",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "x"}]}]},
            "input[0].content[0].type",
        ),
    ],
)
def test_value_that_is_not_honoured_is_refused_by_its_path(change: dict[str, Any], param: str) -> None:
    fault = refusal(**change)
    assert (fault.param, fault.code) == (param, UNSUPPORTED)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": "a\x00b"}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["hi"]}, "input[0]"),
        ({"input": [{"role": "wizard", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": None, "text": "x"}]}]}, "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"text": "x"}]}]}, "input[0].content[0].type"),
        ({"tools": [{"type": None}]}, "tools[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"truncation": "middle"}, "truncation"),
        ({"service_tier": "ultrafast"}, "service_tier"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"conversation": {"name": "x"}}, "conversation.id"),
        ({"tools": [{"type": "function", "name": "a b"}]}, "tools[0].name"),
        ({"tools": [{**FUNCTION, "parameters": {"x": "\x00"}}]}, "tools[0].parameters"),
        ({"tools": [{**FUNCTION, "parameters": {"x": float("inf")}}]}, "tools[0].parameters"),
        ({"tools": [{**FUNCTION, "parameters": {"\ud800": 1}}]}, "tools[0].parameters"),
        ({"tool_choice": "always"}, "tool_choice"),
        ({"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "tool_choice.tools"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_wrong_value_is_refused_by_its_path(change: dict[str, Any], param: str) -> None:
    assert refusal(**change).param == param


def test_null_is_the_same_as_leaving_out_where_the_sdk_says_so() -> None:
    hints = get_type_hints(ResponseCreateParamsBase)
    nullable = {name: None for name in hints if name not in ("model", "input")}
    given, left_out = read(**nullable), read()
    assert given.model_dump() == left_out.model_dump()


def test_reasoning_that_asks_for_none_is_taken() -> None:
    assert read(reasoning={"effort": "none"}).reasoning is not None
    assert read(reasoning={"effort": None}).reasoning is not None


@pytest.mark.parametrize(
    ("given", "tier"),
    [
        (None, ServiceTier.DEFAULT),
        ("auto", ServiceTier.DEFAULT),
        ("default", ServiceTier.DEFAULT),
        ("flex", ServiceTier.FLEX),
        ("priority", ServiceTier.PRIORITY),
        ("fast", ServiceTier.PRIORITY),
    ],
)
def test_service_tier(given: str | None, tier: ServiceTier) -> None:
    assert read(service_tier=given).tier is tier


def test_conversation_is_an_id_or_an_object_with_one() -> None:
    assert read(conversation="conv_1").conversation_id == "conv_1"
    assert read(conversation={"id": "conv_1"}).conversation_id == "conv_1"
    assert read().conversation_id is None


def test_kept_body_has_what_is_needed_later_and_nothing_twice() -> None:
    request = read(
        stream=True,
        stream_options={"include_obfuscation": False},
        metadata={"a": "b"},
        conversation={"id": "conv_1"},
        text={"format": {"type": "json_schema", "name": "n", "schema": {"default": None}}},
    )
    items = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
    assert kept_request(request, items) == {
        "model": "m",
        "conversation": "conv_1",
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"default": None}}},
        "input": items,
    }


def test_tokens_are_counted_for_what_makes_a_prompt() -> None:
    counted = INPUT_TOKENS_REQUEST.validate_python({**BODY, "tools": [FUNCTION], "truncation": "auto"})
    assert counted.truncation == "auto"
    body = cast("dict[str, Any]", {**BODY, "personality": "friendly"})
    with pytest.raises(ValidationError) as caught:
        INPUT_TOKENS_REQUEST.validate_python(body)
    assert invalid_request(caught.value, body).param == "personality"

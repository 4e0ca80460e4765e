"""From a body and what came before it to what the engine is asked for."""

from typing import Any

import pytest

from inference.request import GrammarKind
from tasks.errors import ContextLengthExceeded, InvalidRequest, ModelNotSupported, UnknownModelRequested
from tasks.plan import Endpoint, JobPlan, ServiceTier
from tasks.wire.response_items import Item
from tasks.wire.response_plan import Context, count_input_tokens, response_plan
from tasks.wire.responses import INPUT_TOKENS_REQUEST, RESPONSE_REQUEST
from tests.unit.tasks.wire.responses import FUNCTION, MESSAGE, RENDERER

BODY = {"model": "smollm2", "input": "hi"}
CONTEXT_LENGTH = 8192


def plan(context: Context | None = None, **changes: Any) -> JobPlan:
    return response_plan(RESPONSE_REQUEST.validate_python({**BODY, **changes}), context or Context())


def prompt(planned: JobPlan) -> str:
    (token_ids,) = planned.prompts
    return RENDERER.decode(token_ids)


def turn(role: str, text: str) -> Item:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def long_turn(word: str, tokens: int) -> Item:
    return turn("user", f" {word}" * tokens)


def test_body_becomes_a_plan() -> None:
    planned = plan(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=7,
        metadata={"a": "b"},
        service_tier="flex",
        conversation="conv_1",
    )
    assert (planned.endpoint, planned.type) == (Endpoint.RESPONSES, "response")
    assert (planned.params.temperature, planned.params.top_p, planned.params.max_tokens) == (0.5, 0.9, 7)
    assert (planned.metadata, planned.conversation_id) == ({"a": "b"}, "conv_1")
    assert planned.service_tier is ServiceTier.FLEX
    assert planned.request["input"] == [MESSAGE]
    assert (planned.params.logprobs, planned.params.grammar) == (None, None)


def test_response_is_stored_unless_it_is_not_to_be() -> None:
    assert plan().stored
    assert plan(store=None).stored
    assert not plan(store=False).stored


def test_instructions_come_first_then_the_past_then_the_input() -> None:
    told = prompt(plan(Context((turn("user", "one"), turn("assistant", "two"))), instructions="zero"))
    assert told.index("zero") < told.index("one") < told.index("two") < told.index("hi")


def test_the_past_alone_is_enough_to_go_on_from_and_nothing_is_not() -> None:
    assert "one" in prompt(plan(Context((turn("user", "one"),)), input=None))
    bodies: list[dict[str, Any]] = [{"input": None}, {"input": []}]
    for body in bodies:
        with pytest.raises(InvalidRequest) as caught:
            plan(**body)
        assert (caught.value.param, caught.value.code) == ("input", "missing_required_parameter")


def test_logprobs_are_asked_for_by_include_and_counted_by_top_logprobs() -> None:
    include = ["message.output_text.logprobs"]
    assert plan(include=include).params.logprobs == 0
    assert plan(include=include, top_logprobs=3).params.logprobs == 3
    assert plan(top_logprobs=0).params.logprobs is None


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"top_logprobs": 1}, "top_logprobs"),
        ({"background": True, "store": False}, "background"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [FUNCTION, FUNCTION]}, "tools[1].name"),
        ({"tools": [FUNCTION], "tool_choice": {"type": "function", "name": "g"}}, "tool_choice.name"),
        (
            {
                "tools": [FUNCTION],
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "auto",
                    "tools": [{"type": "function", "name": "weather"}, {"type": "function", "name": "g"}],
                },
            },
            "tool_choice.tools[1].name",
        ),
        ({"tools": [{**FUNCTION, "parameters": {"type": "object", "properties": 5}}]}, "tools"),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "nonsense"}}}},
            "text.format.schema",
        ),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": ""}]}, "input[0].call_id"),
        ({"input": [{"role": "user", "content": "\ufdd0"}]}, "input"),
    ],
)
def test_what_does_not_go_together_is_refused_by_name(changes: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(**changes)
    assert caught.value.param == param


def test_model_must_be_there_and_generate() -> None:
    with pytest.raises(UnknownModelRequested):
        plan(model="gpt-4")
    with pytest.raises(ModelNotSupported):
        plan(model="minilm")


def test_format_and_tools_become_a_grammar() -> None:
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}}
    grammar = plan(text={"format": schema}).params.grammar
    assert grammar is not None
    assert (grammar.kind, grammar.source) == (GrammarKind.JSON_SCHEMA, '{"type": "object"}')
    grammar = plan(text={"format": {"type": "json_object"}}).params.grammar
    assert grammar is not None
    assert grammar.kind is GrammarKind.JSON_OBJECT
    assert plan(text={"format": {"type": "text"}}).params.grammar is None
    for choice in ("auto", "required", {"type": "function", "name": "weather"}):
        grammar = plan(tools=[FUNCTION], tool_choice=choice).params.grammar
        assert grammar is not None
        assert "weather" in grammar.source
    assert plan(tools=[FUNCTION], tool_choice="none").params.grammar is None


def test_calls_and_their_outputs_are_in_the_prompt() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": '{"city": "Paris"}'}
    output = {"type": "function_call_output", "call_id": "c", "output": "sunny"}
    told = prompt(plan(Context((MESSAGE, call)), input=[output], tools=[FUNCTION]))
    assert told.index("Paris") < told.index("sunny")


def test_too_long_a_past_is_refused_where_nothing_may_be_left_out() -> None:
    with pytest.raises(ContextLengthExceeded) as caught:
        plan(Context((long_turn("word", 9000),)))
    assert (caught.value.param, caught.value.code) == ("input", "context_length_exceeded")
    with pytest.raises(ContextLengthExceeded) as caught:
        plan(max_output_tokens=CONTEXT_LENGTH)
    assert caught.value.param == "max_output_tokens"
    with pytest.raises(ContextLengthExceeded) as caught:
        plan(Context((MESSAGE,), cut=True))
    assert caught.value.param == "truncation"


def test_truncation_leaves_out_the_oldest_items_and_no_more_than_it_must() -> None:
    past = tuple(long_turn(word, 1500) for word in ("one", "two", "three", "four", "five", "six"))
    planned = plan(Context(past), truncation="auto", instructions="zero", max_output_tokens=1000)
    told = prompt(planned)
    assert "zero" in told
    assert [word for word in ("one", "two", "three", "four", "five", "six") if word in told] == [
        "three",
        "four",
        "five",
        "six",
    ]
    assert told.rstrip().endswith("assistant")
    assert planned.prompt_tokens + 1000 <= CONTEXT_LENGTH
    assert planned.request["input"] == [MESSAGE]


def test_truncation_changes_nothing_where_all_fits() -> None:
    past = Context((turn("user", "one"),))
    assert plan(past, truncation="auto").prompts == plan(past).prompts


def test_truncation_leaves_no_output_without_its_call() -> None:
    call = {"type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "c", "output": "sunny"}
    past = Context((long_turn("one", 5000), call, output, long_turn("two", 3500)))
    told = prompt(plan(past, truncation="auto"))
    assert "two" in told
    assert ("sunny" in told) == ("weather" in told)


def test_one_item_that_alone_is_too_long_is_refused_also_with_truncation() -> None:
    with pytest.raises(ContextLengthExceeded):
        plan(input="word " * 9000, truncation="auto")


def test_tokens_are_counted_as_the_prompt_is_made() -> None:
    past = Context((turn("user", "one"), turn("assistant", "two")))
    body = {**BODY, "instructions": "zero", "tools": [FUNCTION]}
    counted = count_input_tokens(INPUT_TOKENS_REQUEST.validate_python(body), past)
    assert counted == plan(past, instructions="zero", tools=[FUNCTION]).prompt_tokens

"""What becomes of each parameter of a chat: it is honoured, or refused by its name."""

import json
from typing import Any

import pytest

from inference.prompts import PromptRenderer
from inference.request import GrammarKind
from tasks.errors import ContextLengthExceeded, ModelNotSupported, UnknownModelRequested
from tasks.plan import Endpoint, JobPlan, ServiceTier
from tasks.settings import settings
from tasks.wire.chat_completions import chat_plan
from tasks.wire.chat_request import CHAT_COMPLETION_REQUEST
from tests.unit.tasks.wire.refusals import refusal

BODY: dict[str, Any] = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}]}
FUNCTION = {"name": "f", "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}
TOOLS = [{"type": "function", "function": FUNCTION}]


def plan(**changes: Any) -> JobPlan:
    return chat_plan(CHAT_COMPLETION_REQUEST.validate_python({**BODY, **changes}))


def refused(**changes: Any) -> tuple[str | None, str]:
    error = refusal(CHAT_COMPLETION_REQUEST, chat_plan, {**BODY, **changes})
    return error.param, error.code


def test_a_bare_chat_has_every_default(renderer: PromptRenderer) -> None:
    made = plan()
    assert (made.endpoint, made.type, made.spec.name) == (
        Endpoint.CHAT_COMPLETIONS,
        "chat",
        "smollm2-135m-instruct",
    )
    assert made.prompts == (tuple(renderer.chat(BODY["messages"])),)
    assert (made.params.temperature, made.params.top_p) == (1.0, 1.0)
    assert made.params.max_tokens == settings().default_max_tokens
    assert (made.n, made.best_of, made.stored, made.service_tier) == (1, 1, False, ServiceTier.DEFAULT)
    assert (made.params.logprobs, made.params.grammar, made.seed) == (None, None, None)
    assert made.request == BODY


@pytest.mark.parametrize(
    ("sent", "field", "value"),
    [
        ({"temperature": 0}, "temperature", 0),
        ({"top_p": 0.5}, "top_p", 0.5),
        ({"frequency_penalty": 1.5}, "frequency_penalty", 1.5),
        ({"presence_penalty": -1}, "presence_penalty", -1),
        ({"logit_bias": {"5": -100, "7": 1.5}}, "logit_bias", ((5, -100), (7, 1.5))),
        ({"stop": ["a", "b"]}, "stop", ("a", "b")),
        ({"stop": "a"}, "stop", ("a",)),
        ({"max_tokens": 9}, "max_tokens", 9),
        ({"max_completion_tokens": 9}, "max_tokens", 9),
        ({"max_completion_tokens": 9, "max_tokens": 9}, "max_tokens", 9),
        ({"logprobs": True}, "logprobs", 0),
        ({"logprobs": True, "top_logprobs": 20}, "logprobs", 20),
        ({"logprobs": False}, "logprobs", None),
        ({"top_k": 7}, "top_k", 7),
        ({"top_k": -1}, "top_k", 0),
        ({"min_p": 0.1}, "min_p", 0.1),
        ({"typical_p": 0.9}, "typical_p", 0.9),
        ({"repetition_penalty": 1.2}, "repetition_penalty", 1.2),
        ({"min_tokens": 3}, "min_tokens", 3),
        ({"stop_token_ids": [3, 4]}, "stop_token_ids", (3, 4)),
        ({"ignore_eos": True}, "ignore_eos", True),
    ],
)
def test_parameter_reaches_the_engine(sent: dict[str, Any], field: str, value: object) -> None:
    assert getattr(plan(**sent).params, field) == value


def test_bad_words_are_meant_with_and_without_a_space_before_them(renderer: PromptRenderer) -> None:
    words = plan(bad_words=["cat"]).params.bad_words
    assert set(words) == {tuple(renderer.plain("cat")), tuple(renderer.plain(" cat"))}


def test_what_is_said_of_the_request_is_kept_with_it() -> None:
    said = {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"}
    made = plan(**said, metadata={"a": "b"}, store=True, n=3, seed=-5, expires_in_seconds=60)
    assert {key: made.request[key] for key in said} == said
    assert (made.metadata, made.stored, made.n, made.best_of) == ({"a": "b"}, True, 3, 3)
    assert (made.seed, made.expires_in_seconds) == (-5, 60)
    assert "metadata" not in made.request


@pytest.mark.parametrize(
    ("asked", "tier"),
    [
        (None, ServiceTier.DEFAULT),
        ("auto", ServiceTier.DEFAULT),
        ("default", ServiceTier.DEFAULT),
        ("flex", ServiceTier.FLEX),
        ("priority", ServiceTier.PRIORITY),
        ("fast", ServiceTier.PRIORITY),
    ],
)
def test_service_tier_is_honoured(asked: str | None, tier: ServiceTier) -> None:
    assert plan(service_tier=asked).service_tier is tier


@pytest.mark.parametrize(
    ("wanted", "kind", "source"),
    [
        ({"type": "json_object"}, GrammarKind.JSON_OBJECT, ""),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "a", "strict": True, "schema": {"type": "array"}},
            },
            GrammarKind.JSON_SCHEMA,
            json.dumps({"type": "array"}),
        ),
        ({"type": "json_schema", "json_schema": {"name": "a"}}, GrammarKind.JSON_OBJECT, ""),
        ({"type": "regex", "regex": "a+"}, GrammarKind.REGEX, "a+"),
        ({"type": "choice", "choice": ["a", "b"]}, GrammarKind.CHOICE, '["a", "b"]'),
        ({"type": "grammar", "grammar": 'start: "a"'}, GrammarKind.LARK, 'start: "a"'),
    ],
)
def test_response_format_becomes_a_grammar(wanted: dict[str, Any], kind: GrammarKind, source: str) -> None:
    grammar = plan(response_format=wanted).params.grammar
    assert grammar is not None
    assert (grammar.kind, grammar.source) == (kind, source)


def test_plain_text_needs_no_grammar() -> None:
    assert plan(response_format={"type": "text"}).params.grammar is None


def test_tools_are_told_of_in_the_prompt_and_held_to_by_a_grammar() -> None:
    with_tools = plan(tools=TOOLS, tool_choice="required")
    assert len(with_tools.prompts[0]) > len(plan().prompts[0])
    assert with_tools.params.grammar is not None
    older = plan(functions=[FUNCTION], function_call={"name": "f"})
    assert older.params.grammar is not None
    assert plan(tools=TOOLS, tool_choice="none").params.grammar is None


NULLS = [
    name
    for name, field in CHAT_COMPLETION_REQUEST.json_schema()["properties"].items()
    if name not in {"model", "messages"}
]


@pytest.mark.parametrize("name", NULLS)
def test_null_is_as_good_as_nothing(name: str) -> None:
    assert plan(**{name: None}).params == plan().params


@pytest.mark.parametrize(
    "name",
    [
        "audio",
        "moderation",
        "prediction",
        "prompt_cache_options",
        "prompt_cache_retention",
        "verbosity",
        "web_search_options",
    ],
)
def test_what_is_not_done_here_is_refused_by_name(name: str) -> None:
    assert refused(**{name: "x"}) == (name, "unsupported_parameter")


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"n": 0}, "n"),
        ({"n": 21}, "n"),
        ({"temperature": 2.1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"frequency_penalty": 2.1}, "frequency_penalty"),
        ({"presence_penalty": -2.1}, "presence_penalty"),
        ({"logit_bias": {"x": 1}}, "logit_bias.x"),
        ({"logit_bias": {"5": 101}}, "logit_bias.5"),
        ({"logit_bias": {"999999": 1}}, "logit_bias.999999"),
        ({"logit_bias": {"5": 1, "05": 1}}, "logit_bias.05"),
        ({"stop": {}}, "stop"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"max_tokens": 4, "max_completion_tokens": 5}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        (
            {"stream": True, "stream_options": {"include_obfuscation": True}},
            "stream_options.include_obfuscation",
        ),
        ({"modalities": ["audio"]}, "modalities[0]"),
        ({"modalities": []}, "modalities"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": 1.1}, "min_p"),
        ({"typical_p": 0}, "typical_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"min_tokens": 5, "max_tokens": 4}, "min_tokens"),
        ({"stop_token_ids": [999999]}, "stop_token_ids[0]"),
        ({"bad_words": [""]}, "bad_words[0]"),
        ({"bad_words": ["x!" * 100]}, "bad_words[0]"),
        ({"expires_in_seconds": 0}, "expires_in_seconds"),
        ({"user": "x" * 513}, "user"),
        ({"metadata": {"k": 1}}, "metadata.k"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {}}, "response_format.type"),
        ({"response_format": {"type": "regex", "regex": "("}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a b"}}},
            "response_format.json_schema.name",
        ),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "schema": {"a": "\x00"}},
                }
            },
            "response_format.json_schema.schema",
        ),
        ({"bogus": 1}, "bogus"),
        ({"model": None}, "model"),
    ],
)
def test_wrong_value_is_refused_by_its_field(sent: dict[str, Any], param: str) -> None:
    assert refused(**sent)[0] == param


def test_more_tokens_than_the_context_holds_are_refused_by_the_name_that_was_used() -> None:
    for name in ("max_tokens", "max_completion_tokens"):
        error = refusal(CHAT_COMPLETION_REQUEST, chat_plan, {**BODY, name: 8192})
        assert isinstance(error, ContextLengthExceeded)
        assert error.param == name


def test_conversation_longer_than_the_context_is_refused() -> None:
    long = [{"role": "user", "content": "word " * 9000}]
    error = refusal(CHAT_COMPLETION_REQUEST, chat_plan, {**BODY, "messages": long})
    assert (error.code, error.param) == ("context_length_exceeded", "messages")


def test_unknown_model_is_refused_by_name() -> None:
    with pytest.raises(UnknownModelRequested) as caught:
        plan(model="gpt-9")
    assert caught.value.param == "model"


def test_embedding_model_answers_no_chat() -> None:
    with pytest.raises(ModelNotSupported) as caught:
        plan(model="minilm")
    assert caught.value.param == "model"

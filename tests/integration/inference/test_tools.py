"""Functions called by the real small model, and by random choices from its vocabulary."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from inference.catalog import ModelSpec
from inference.engine import Engine
from inference.grammar import GrammarCompiler
from inference.loader import LoadedModel
from inference.output_grammar import output_grammar
from inference.output_parser import OutputParser, ParsedOutput, join_parts, parse_output
from inference.prompts import PromptRenderer
from inference.request import (
    FinishReason,
    GenerationRequest,
    Grammar,
    GrammarKind,
    Outcome,
    SamplingParams,
)
from inference.tool_format import ADDED, HERMES, LLAMA, MISTRAL, ToolFormat
from inference.tools import FunctionTool, ToolChoice, ToolUse
from tests.integration.inference.random_model import RandomModel
from tests.integration.inference.requests import NUMBERS, Ear, run

WEATHER: dict[str, Any] = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 20},
        "unit": {"enum": ["celsius", "fahrenheit"]},
        "days": {"type": "integer", "minimum": 1, "maximum": 14},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
MAIL: dict[str, Any] = {
    "type": "object",
    "properties": {
        "to": {"type": "array", "items": {"type": "string", "maxLength": 12}, "minItems": 1, "maxItems": 2},
        "urgent": {"type": "boolean"},
    },
    "required": ["to", "urgent"],
    "additionalProperties": False,
}
TOOLS = (
    FunctionTool("get_weather", "The weather in a city", WEATHER),
    FunctionTool("send_mail", "Sends a mail", MAIL),
)
SCHEMAS = {tool.name: tool.parameters for tool in TOOLS}
PERSON: dict[str, Any] = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
    },
    "required": ["name", "age"],
    "additionalProperties": False,
}
PERSON_GRAMMAR = Grammar(GrammarKind.JSON_SCHEMA, json.dumps(PERSON))
QUESTIONS = ("What is the weather in Paris in celsius?", "Tell Ann and Bob that it is urgent.")
SAMPLINGS: tuple[dict[str, Any], ...] = ({"temperature": 0.0}, {"temperature": 1.2, "seed": 1})
SEEDS = range(4)


def use(mode: Any, *names: str, parallel: bool = True) -> ToolUse:
    return ToolUse(TOOLS, ToolChoice(mode, names), parallel)


def request(
    loaded: LoadedModel, question: str, tools: ToolUse, text: Grammar | None, **sampling: Any
) -> GenerationRequest:
    renderer = loaded.renderer
    grammar = output_grammar(renderer.tool_format, tools, text)
    params = SamplingParams(**{"max_tokens": 100, "grammar": grammar} | sampling)
    prompt = renderer.chat([{"role": "user", "content": question}], tools)
    return GenerationRequest(f"tools{next(NUMBERS)}", tuple(prompt), params)


def answers(
    engine: Engine, loaded: LoadedModel, tools: ToolUse, text: Grammar | None = None
) -> list[tuple[Outcome, ParsedOutput]]:
    """To every question, greedily and sampled, all at once."""
    outcomes = run(
        engine,
        *(request(loaded, question, tools, text, **how) for question in QUESTIONS for how in SAMPLINGS),
    )
    return [(outcome, parse_output(ADDED, tools, outcome.text)) for outcome in outcomes]


def assert_valid(parsed: ParsedOutput) -> None:
    for call in parsed.calls:
        schema = SCHEMAS[call.name]
        assert schema is not None
        assert list(Draft202012Validator(schema).iter_errors(json.loads(call.arguments))) == []


def assert_complete(outcome: Outcome, parsed: ParsedOutput) -> None:
    """Every call is whole, but for the last where the tokens ran out."""
    if outcome.finish_reason is FinishReason.STOP:
        assert all(call.complete for call in parsed.calls)
    assert_valid(ParsedOutput(None, tuple(call for call in parsed.calls if call.complete)))


def test_required_calls_are_made_and_fit_their_schemas(engine: Engine, loaded_model: LoadedModel) -> None:
    for outcome, parsed in answers(engine, loaded_model, use("required", parallel=False)):
        assert outcome.finish_reason is FinishReason.STOP
        assert parsed.content is None
        assert len(parsed.calls) == 1
        assert_valid(parsed)


@pytest.mark.parametrize("name", ["get_weather", "send_mail"])
def test_a_named_function_is_called_once(engine: Engine, loaded_model: LoadedModel, name: str) -> None:
    for outcome, parsed in answers(engine, loaded_model, use("required", name)):
        assert outcome.finish_reason is FinishReason.STOP
        assert [call.name for call in parsed.calls] == [name]
        assert_valid(parsed)


def test_calls_in_parallel_fit_their_schemas(engine: Engine, loaded_model: LoadedModel) -> None:
    for outcome, parsed in answers(engine, loaded_model, use("required")):
        assert parsed.content is None
        assert parsed.calls
        assert_complete(outcome, parsed)


def test_a_model_that_may_call_does_so_whole_or_not_at_all(engine: Engine, loaded_model: LoadedModel) -> None:
    called = 0
    for outcome, parsed in answers(engine, loaded_model, use("auto")):
        called += bool(parsed.calls)
        assert "<tool_call>" not in (parsed.content or "")
        assert_complete(outcome, parsed)
    assert called


def test_an_answer_fits_its_schema_where_no_function_is_called(
    engine: Engine, loaded_model: LoadedModel
) -> None:
    for outcome, parsed in answers(engine, loaded_model, use("auto"), PERSON_GRAMMAR):
        assert_complete(outcome, parsed)
        if parsed.content is not None:
            assert outcome.finish_reason is FinishReason.STOP
            Draft202012Validator(PERSON).validate(json.loads(parsed.content))


def test_a_stream_of_tokens_gives_the_calls_of_the_whole_output(
    engine: Engine, loaded_model: LoadedModel
) -> None:
    tools = use("auto")
    for question in QUESTIONS:
        ear = Ear()
        generation = engine.submit(request(loaded_model, question, tools, None, temperature=0.0), ear)
        assert generation.wait(60)
        parser = OutputParser(ADDED, tools)
        parts = [
            part for event in ear.events if not isinstance(event, Outcome) for part in parser.push(event.text)
        ]
        assert join_parts([*parts, *parser.finish()]) == parse_output(ADDED, tools, ear.outcomes[0].text)


def test_a_call_that_runs_out_of_tokens_gives_what_there_was(
    engine: Engine, loaded_model: LoadedModel
) -> None:
    tools = use("required", "get_weather")
    whole, cut = run(
        engine,
        request(loaded_model, QUESTIONS[0], tools, None, temperature=0.0),
        request(loaded_model, QUESTIONS[0], tools, None, temperature=0.0, max_tokens=24),
    )
    assert cut.finish_reason is FinishReason.LENGTH
    (call,), (part,) = (parse_output(ADDED, tools, outcome.text).calls for outcome in (whole, cut))
    assert not part.complete
    assert part.arguments
    assert call.arguments.startswith(part.arguments)


@pytest.fixture(scope="module")
def renderer(small_spec: ModelSpec, model_cache_dir: Path) -> PromptRenderer:
    return PromptRenderer.for_model(small_spec, model_cache_dir)


@pytest.fixture(scope="module")
def compiler(renderer: PromptRenderer) -> GrammarCompiler:
    return GrammarCompiler(renderer.token_bytes, len(renderer.token_bytes), renderer.eos_token_ids)


@pytest.mark.parametrize("tool_format", [HERMES, LLAMA, MISTRAL], ids=["hermes", "llama", "mistral"])
@pytest.mark.parametrize("mode", ["auto", "required"])
@pytest.mark.parametrize("text", [None, PERSON_GRAMMAR], ids=["free", "schema"])
def test_random_choices_of_tokens_always_parse(
    renderer: PromptRenderer,
    compiler: GrammarCompiler,
    tool_format: ToolFormat,
    mode: str,
    text: Grammar | None,
) -> None:
    tools = use(mode)
    grammar = output_grammar(tool_format, tools, text)
    assert grammar is not None
    model = RandomModel(renderer)
    outputs = [model.run(compiler.matcher(grammar), seed) for seed in SEEDS]
    for parsed in (parse_output(tool_format, tools, output) for output in outputs if output is not None):
        assert all(call.complete for call in parsed.calls)
        assert_valid(parsed)
        assert parsed.calls or parsed.content is not None
        if parsed.content is not None and text is not None:
            Draft202012Validator(PERSON).validate(json.loads(parsed.content))
        if text is None:
            assert tool_format.marker not in (parsed.content or "")

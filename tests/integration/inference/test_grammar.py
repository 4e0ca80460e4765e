"""Random outputs of the real vocabulary along grammars: each ends as something that matches."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.validators import validator_for

from inference.catalog import ModelSpec
from inference.errors import InvalidGeneration
from inference.grammar import GrammarCompiler
from inference.prompts import PromptRenderer
from inference.request import Grammar, GrammarKind
from tests.integration.inference.random_model import RandomModel

Outputs = Callable[..., list[str]]

OUTPUTS = 12
WIDER = 100
"""How many ids the model is made to know beyond those of its tokenizer."""

SCHEMAS: dict[str, dict[str, Any]] = {
    "order": {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 1, "maxLength": 12},
            "count": {"type": "integer", "minimum": 1, "maximum": 500},
            "state": {"enum": ["new", "sent", None]},
            "paid": {"type": "boolean"},
            "lines": {
                "type": "array",
                "maxItems": 3,
                "items": {
                    "type": "object",
                    "properties": {"article": {"const": 'é\n"/'}, "price": {"type": "number", "minimum": 0}},
                    "required": ["article", "price"],
                    "additionalProperties": False,
                },
            },
        },
        "required": ["name", "count", "state", "paid", "lines"],
        "additionalProperties": False,
    },
    "tree": {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {"value": {"type": "integer"}, "left": {"$ref": "#/$defs/leaf"}},
                "required": ["value"],
                "additionalProperties": False,
            },
            "leaf": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/node"}]},
        },
        "$ref": "#/$defs/node",
    },
    "union": {"anyOf": [{"type": "string", "pattern": "^[a-f]{2,4}$"}, {"type": "integer", "multipleOf": 7}]},
    "pair": {
        "type": "array",
        "prefixItems": [{"type": "boolean"}, {"type": "number", "exclusiveMaximum": 2.5}],
        "items": False,
        "minItems": 2,
    },
    "day": {
        "type": "object",
        "properties": {"day": {"type": "string", "format": "date"}},
        "required": ["day"],
        "additionalProperties": False,
    },
    "map": {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 2},
    "merged": {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 3, "maximum": 30}, "b": {"type": "null"}}, "required": ["b"]},
        ],
        "maxProperties": 2,
    },
    "old draft": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "definitions": {"size": {"type": "string", "enum": ["S", "M"]}},
        "type": "object",
        "properties": {"size": {"$ref": "#/definitions/size"}},
        "required": ["size"],
        "additionalProperties": False,
    },
}
REGEXES = [
    r"[A-Z][a-z]{1,8}( [A-Z][a-z]{1,8}){0,2}",
    r"\+?[0-9]{6,12}",
    r"(?i)(yes|no)[.!]?",
    r"[^\x00-\x7f]{1,5}",
]
SUM = 'start: sum\nsum: NUMBER | "(" sum ("+" | "-") sum ")"\nNUMBER: /[0-9]{1,3}/'


@pytest.fixture(scope="module")
def renderer(small_spec: ModelSpec, model_cache_dir: Path) -> PromptRenderer:
    return PromptRenderer.for_model(small_spec, model_cache_dir)


@pytest.fixture(scope="module")
def compiler(renderer: PromptRenderer) -> GrammarCompiler:
    vocab_size = len(renderer.token_bytes) + WIDER
    return GrammarCompiler(renderer.token_bytes, vocab_size, renderer.eos_token_ids)


@pytest.fixture(scope="module")
def outputs(renderer: PromptRenderer, compiler: GrammarCompiler) -> Outputs:
    """What random models make of a grammar, as far as they come to an end."""
    model = RandomModel(renderer)

    def make(kind: GrammarKind, source: str = "") -> list[str]:
        grammar = Grammar(kind, source)
        found = [model.run(compiler.matcher(grammar), seed) for seed in range(OUTPUTS)]
        ended = [text for text in found if text is not None]
        assert len(ended) > OUTPUTS / 2
        return ended

    return make


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_every_output_fits_its_schema(outputs: Outputs, schema: dict[str, Any]) -> None:
    validator = validator_for(schema, Draft202012Validator)(schema, format_checker=FormatChecker(["date"]))
    for text in outputs(GrammarKind.JSON_SCHEMA, json.dumps(schema)):
        assert list(validator.iter_errors(json.loads(text))) == []


def test_every_output_is_a_json_object(outputs: Outputs) -> None:
    for text in outputs(GrammarKind.JSON_OBJECT):
        assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize("source", REGEXES)
def test_every_output_matches_its_regular_expression(outputs: Outputs, source: str) -> None:
    for text in outputs(GrammarKind.REGEX, source):
        assert re.fullmatch(source, text)


def test_every_output_is_one_of_the_choices(outputs: Outputs) -> None:
    choices = ["red", "redder", "dark red", 'a "quoted"\nline', "日本語", "/"]
    made = set(outputs(GrammarKind.CHOICE, json.dumps(choices)))
    assert made <= set(choices)
    assert len(made) > 1


def test_every_output_follows_its_lark_grammar(outputs: Outputs) -> None:
    for text in outputs(GrammarKind.LARK, SUM):
        while "(" in text:
            text, replaced = re.subn(r"\(\d+[+-]\d+\)", "1", text)
            assert replaced
        assert re.fullmatch(r"\d{1,3}", text)


def test_the_tokens_of_a_fitting_text_are_allowed_one_by_one(
    renderer: PromptRenderer, compiler: GrammarCompiler
) -> None:
    matcher = compiler.matcher(Grammar(GrammarKind.JSON_SCHEMA, json.dumps(SCHEMAS["order"])))
    order = {"name": "Zoë", "count": 12, "state": "sent", "paid": True, "lines": []}
    for token_id in renderer.completion(json.dumps(order, ensure_ascii=False, indent=2)):
        matcher.advance(token_id)
    assert matcher.ended


def test_a_text_that_does_not_fit_is_refused_at_the_token_that_leaves_the_grammar(
    renderer: PromptRenderer, compiler: GrammarCompiler
) -> None:
    matcher = compiler.matcher(Grammar(GrammarKind.JSON_SCHEMA, json.dumps(SCHEMAS["order"])))
    *fitting, wrong = renderer.completion('{"name": "Zoë", "count": "')
    for token_id in fitting:
        matcher.advance(token_id)
    with pytest.raises(InvalidGeneration, match=f"token {wrong} can't follow after {len(fitting)} tokens"):
        matcher.advance(wrong)

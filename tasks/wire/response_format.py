"""What form a chat's answer must have."""

import json
from typing import Annotated, Literal

from pydantic import Field

from inference.request import Grammar, GrammarKind
from tasks.wire.chat_messages import FunctionName
from tasks.wire.fields import NonEmpty, Strict, Text
from tasks.wire.json_values import JsonObject


class TextFormat(Strict):
    """Any text."""

    type: Literal["text"]


class JsonObjectFormat(Strict):
    """A JSON object of any shape."""

    type: Literal["json_object"]


class JsonSchemaSource(Strict):
    """A JSON schema. The answer is always held to it, ``strict`` or not."""

    name: FunctionName
    description: Text | None = None
    schema_: JsonObject | None = Field(None, alias="schema")
    strict: bool | None = None


class JsonSchemaFormat(Strict):
    """JSON that is valid for a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchemaSource


class GrammarFormat(Strict):
    """Ours: what a Lark grammar describes."""

    type: Literal["grammar"]
    grammar: NonEmpty


class RegexFormat(Strict):
    """Ours: what a regular expression matches."""

    type: Literal["regex"]
    regex: NonEmpty


class ChoiceFormat(Strict):
    """Ours: one of these texts."""

    type: Literal["choice"]
    choice: list[NonEmpty] = Field(min_length=1, max_length=1000)


ResponseFormat = Annotated[
    TextFormat | JsonObjectFormat | JsonSchemaFormat | GrammarFormat | RegexFormat | ChoiceFormat,
    Field(discriminator="type"),
]


def format_grammar(wanted: ResponseFormat | None) -> Grammar | None:
    """The grammar of a format; None where any text will do."""
    match wanted:
        case JsonObjectFormat():
            return Grammar(GrammarKind.JSON_OBJECT)
        case JsonSchemaFormat(json_schema=JsonSchemaSource(schema_=None)):
            return Grammar(GrammarKind.JSON_OBJECT)
        case JsonSchemaFormat(json_schema=source):
            return Grammar(GrammarKind.JSON_SCHEMA, json.dumps(source.schema_))
        case GrammarFormat(grammar=lark):
            return Grammar(GrammarKind.LARK, lark)
        case RegexFormat(regex=regex):
            return Grammar(GrammarKind.REGEX, regex)
        case ChoiceFormat(choice=texts):
            return Grammar(GrammarKind.CHOICE, json.dumps(texts))
        case _:
            return None

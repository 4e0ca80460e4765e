"""What a client may ask of the responses API: every field of it is honoured, or refused by name."""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, TypeAdapter
from pydantic_core import PydanticCustomError

from inference.request import Grammar, GrammarKind
from tasks.wire.chat_messages import FunctionName
from tasks.wire.fields import UNSUPPORTED, Metadata, NonEmpty, Refused, Strict, Text
from tasks.wire.generation_fields import Label, TierFields
from tasks.wire.json_values import JsonObject
from tasks.wire.response_format import JsonObjectFormat, TextFormat
from tasks.wire.response_items import Input
from tasks.wire.response_tools import ToolFields

LOGPROBS = "message.output_text.logprobs"
MAX_TOP_LOGPROBS = 20


def _only(*supported: object) -> BeforeValidator:
    """Refuse what the API knows beside these."""

    def check(value: object) -> object:
        if not any(value is one or value == one for one in supported):
            raise PydanticCustomError(UNSUPPORTED, "this value is not supported here")
        return value

    return BeforeValidator(check)


Includable = Annotated[Literal["message.output_text.logprobs"], _only(LOGPROBS)]


class JsonSchemaOutput(Strict):
    """JSON that matches a schema."""

    type: Literal["json_schema"]
    name: FunctionName
    schema_: JsonObject = Field(alias="schema")
    description: Text | None = None
    strict: bool | None = Field(None, description="The output always matches the schema, also with `false`.")


class TextConfig(Strict):
    """What the text is to look like."""

    format: TextFormat | JsonObjectFormat | JsonSchemaOutput | None = Field(None, discriminator="type")
    verbosity: Refused = None


class Reasoning(Strict):
    """No model here reasons apart from its answer."""

    effort: Annotated[Literal["none"] | None, _only("none", None)] = None
    summary: Refused = None
    generate_summary: Refused = None
    context: Refused = None
    mode: Refused = None


class ResponseStreamOptions(Strict):
    """How the events are to be sent."""

    include_obfuscation: Annotated[Literal[False] | None, _only(False, None)] = None


class ConversationReference(Strict):
    """A conversation, by its id."""

    id: NonEmpty


def _conversation_form(value: object) -> str:
    return "object" if isinstance(value, Mapping) else "string"


ConversationParam = Annotated[
    Annotated[NonEmpty, Tag("string")] | Annotated[ConversationReference, Tag("object")],
    Discriminator(_conversation_form),
]


class PromptFields(ToolFields):
    """All that the prompt is made of."""

    model: NonEmpty = Field(description="A name or alias from `GET /v1/models`.")
    input: Input | None = None
    instructions: Text | None = Field(None, description="A system message ahead of everything.")
    previous_response_id: NonEmpty | None = Field(None, description="The response to go on from.")
    conversation: ConversationParam | None = Field(None, description="The conversation to go on with.")
    text: TextConfig | None = None
    reasoning: Reasoning | None = None
    truncation: Literal["auto", "disabled"] | None = Field(
        None, description="`auto` leaves out the oldest items where not all of them fit; the default refuses."
    )

    @property
    def conversation_id(self) -> str | None:
        given = self.conversation
        return given.id if isinstance(given, ConversationReference) else given

    @property
    def text_grammar(self) -> Grammar | None:
        """What the text has to match."""
        wanted = self.text.format if self.text else None
        if isinstance(wanted, JsonSchemaOutput):
            return Grammar(GrammarKind.JSON_SCHEMA, json.dumps(wanted.schema_))
        return Grammar(GrammarKind.JSON_OBJECT) if isinstance(wanted, JsonObjectFormat) else None


class ResponseRequest(PromptFields, TierFields):
    """The body of `POST /v1/responses`."""

    background: bool | None = Field(None, description="Answer at once; the response is made meanwhile.")
    store: bool | None = Field(None, description="Whether it can be read later. The default is `true`.")
    stream: bool | None = None
    stream_options: ResponseStreamOptions | None = None
    max_output_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP_LOGPROBS)] | None = Field(
        None, description=f'Alternatives of each token; with `include: ["{LOGPROBS}"]`.'
    )
    include: list[Includable] | None = None
    metadata: Metadata | None = None
    user: Label | None = None
    safety_identifier: Label | None = None
    prompt_cache_key: Label | None = Field(
        None, description="Not needed here: prompts that begin alike are found."
    )
    access_programs: Refused = None
    context_management: Refused = None
    image: Refused = None
    max_tool_calls: Refused = None
    moderation: Refused = None
    prompt: Refused = None
    prompt_cache_options: Refused = None
    prompt_cache_retention: Refused = None

    @property
    def stored(self) -> bool:
        return self.store is not False

    @property
    def logprobs(self) -> int | None:
        """How many alternatives of each token are wanted; None for no log-probabilities at all."""
        return (self.top_logprobs or 0) if self.include else None


class InputTokensRequest(PromptFields):
    """The body of `POST /v1/responses/input_tokens`."""

    personality: Refused = None


RESPONSE_REQUEST: TypeAdapter[ResponseRequest] = TypeAdapter(ResponseRequest)
INPUT_TOKENS_REQUEST: TypeAdapter[InputTokensRequest] = TypeAdapter(InputTokensRequest)
_KEPT_ELSEWHERE = {"input", "metadata", "conversation", "stream", "stream_options"}


def kept_request(request: ResponseRequest, items: list[dict[str, Any]]) -> dict[str, Any]:
    """The body as it is kept with its job, ``items`` being its input in their one form."""
    kept = request.model_dump(mode="json", by_alias=True, exclude=_KEPT_ELSEWHERE, exclude_unset=True)
    if request.conversation_id is not None:
        kept["conversation"] = request.conversation_id
    return kept | {"input": items}

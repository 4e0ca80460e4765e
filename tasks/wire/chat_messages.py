"""A conversation as clients write it, and as a chat template takes it."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, Tag

from tasks.errors import InvalidRequest
from tasks.wire.fields import NonEmpty, Refused, Strict, Text
from tasks.wire.forms import by_form, text_or_list

FunctionName = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
EchoedBySdk = Annotated[
    Any, Field(exclude=True, description="What the SDK's helpers add to an answer and send back; not read.")
]
CONTENT_FORM = by_form(text_or_list, "a string or a list of parts")


class TextPart(Strict):
    """A part of a message. Only text is understood here."""

    type: Literal["text"]
    text: Text
    prompt_cache_breakpoint: Refused = None


class RefusalPart(Strict):
    """What an assistant said when it refused."""

    type: Literal["refusal"]
    refusal: Text


TextParts = Annotated[list[TextPart], Field(min_length=1)]
AnswerPart = Annotated[TextPart | RefusalPart, Field(discriminator="type")]
AnswerParts = Annotated[list[AnswerPart], Field(min_length=1)]
Content = Annotated[Annotated[Text, Tag("a text")] | Annotated[TextParts, Tag("a list")], CONTENT_FORM]
AnswerContent = Annotated[
    Annotated[Text, Tag("a text")] | Annotated[AnswerParts, Tag("a list")], CONTENT_FORM
]


class CalledFunction(Strict):
    """A function that was called, and its arguments as JSON text."""

    name: FunctionName
    arguments: Text
    parsed_arguments: EchoedBySdk = None


class ToolCall(Strict):
    """A call that an assistant made."""

    id: NonEmpty
    type: Literal["function"]
    function: CalledFunction
    index: EchoedBySdk = None


class InstructionMessage(Strict):
    """What the assistant is told to be."""

    role: Literal["system", "developer"]
    content: Content
    name: NonEmpty | None = None


class UserMessage(Strict):
    """What the user said."""

    role: Literal["user"]
    content: Content
    name: NonEmpty | None = None


class AssistantMessage(Strict):
    """What the assistant said or called before."""

    role: Literal["assistant"]
    content: AnswerContent | None = None
    refusal: Text | None = None
    name: NonEmpty | None = None
    tool_calls: Annotated[list[ToolCall], Field(min_length=1)] | None = None
    function_call: CalledFunction | None = Field(None, description="The older form of `tool_calls`.")
    audio: Refused = None
    annotations: list[Any] | None = Field(
        None, max_length=0, description="As an answer came; there are never any."
    )
    parsed: EchoedBySdk = None


class ToolMessage(Strict):
    """What a tool answered."""

    role: Literal["tool"]
    content: Content
    tool_call_id: NonEmpty


class FunctionMessage(Strict):
    """The older form of a tool's answer."""

    role: Literal["function"]
    content: Text | None
    name: FunctionName


Message = Annotated[
    InstructionMessage | UserMessage | AssistantMessage | ToolMessage | FunctionMessage,
    Field(discriminator="role"),
]


def neutral_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages with their content as one text and older forms in today's.

    Raises InvalidRequest for an assistant that says nothing, and for answers to calls never made.
    """
    made: set[str] = set()
    neutral = []
    for index, message in enumerate(messages):
        one = _neutral(message, index, made)
        made.update(call["id"] for call in one.get("tool_calls", ()))
        neutral.append(one)
    return neutral


def text_of(content: str | Sequence[TextPart | RefusalPart] | None) -> str:
    """Parts are lines of one text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part.text if isinstance(part, TextPart) else part.refusal for part in content)


def _neutral(message: Message, index: int, made: set[str]) -> dict[str, Any]:
    place = f"messages[{index}]"
    if isinstance(message, AssistantMessage):
        return _assistant(message, place)
    if isinstance(message, ToolMessage):
        _check_call(message.tool_call_id, made, f"{place}.tool_call_id")
        return {"role": "tool", "content": text_of(message.content), "tool_call_id": message.tool_call_id}
    if isinstance(message, FunctionMessage):
        call_id = _older_call_id(message.name)
        _check_call(call_id, made, f"{place}.name")
        return {"role": "tool", "content": message.content or "", "tool_call_id": call_id}
    return {"role": message.role, "content": text_of(message.content), **_name(message.name)}


def _assistant(message: AssistantMessage, place: str) -> dict[str, Any]:
    calls = [call.model_dump() for call in message.tool_calls or ()]
    if message.function_call is not None:
        if calls:
            raise InvalidRequest(
                "An assistant's message has either tool_calls or function_call.",
                param=f"{place}.function_call",
            )
        called = message.function_call.model_dump()
        calls = [{"id": _older_call_id(called["name"]), "type": "function", "function": called}]
    said = message.refusal if message.content is None else message.content
    if said is None and not calls:
        raise InvalidRequest(
            "An assistant's message needs content, unless it has tool_calls.", param=f"{place}.content"
        )
    neutral: dict[str, Any] = {"role": "assistant", "content": text_of(said), **_name(message.name)}
    return neutral | ({"tool_calls": calls} if calls else {})


def _check_call(call_id: str, made: set[str], param: str) -> None:
    if call_id not in made:
        raise InvalidRequest(f"'{param}' answers no call of an assistant's message before it.", param=param)


def _older_call_id(function: str) -> str:
    """The older form has no ids: a function's answer belongs to its latest call."""
    return f"call_{function}"


def _name(name: str | None) -> dict[str, str]:
    return {} if name is None else {"name": name}

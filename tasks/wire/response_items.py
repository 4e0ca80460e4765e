"""Items that a client sends: as input of a response, or to a conversation."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag
from pydantic.json_schema import SkipJsonSchema

from tasks.wire.fields import NonEmpty, Refused, RefusedKind, Strict, Text

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Item = dict[str, Any]
"""An item in its one form, as it is kept: parts of a message in a list, no id, no status."""


class OtherKind(BaseModel):
    """What the API knows, or nobody does, but not this platform: refused by its type."""

    model_config = ConfigDict(extra="allow")

    type: RefusedKind


class InputTextPart(Strict):
    """Text for the model."""

    type: Literal["input_text"]
    text: Text
    prompt_cache_breakpoint: Refused = None


class OutputTextPart(Strict):
    """Text that a model wrote earlier."""

    type: Literal["output_text"]
    text: Text
    annotations: list[Any] | None = Field(None, max_length=0)
    logprobs: list[Any] | None = Field(None, description="Taken from an earlier answer; not looked at.")


class RefusalContent(Strict):
    """A model's refusal to answer."""

    type: Literal["refusal"]
    refusal: Text


def _part_kind(value: object) -> str:
    kind = value.get("type") if isinstance(value, Mapping) else "input_text"
    return kind if kind in ("input_text", "output_text", "refusal") else "other"


Part = Annotated[
    Annotated[InputTextPart, Tag("input_text")]
    | Annotated[OutputTextPart, Tag("output_text")]
    | Annotated[RefusalContent, Tag("refusal")]
    | SkipJsonSchema[Annotated[OtherKind, Tag("other")]],
    Discriminator(_part_kind),
]


def _form(value: object) -> str:
    return "list" if isinstance(value, list) else "string"


Content = Annotated[
    Annotated[Text, Tag("string")] | Annotated[list[Part], Field(min_length=1), Tag("list")],
    Discriminator(_form),
]


class MessageItem(Strict):
    """A message: `content` is its text, or a list of parts."""

    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    content: Content
    id: Text | None = Field(None, description="Of an earlier answer; the item gets an id of its own.")
    status: ItemStatus | None = None
    phase: Literal["commentary", "final_answer"] | None = None

    def kept(self) -> Item:
        kind = "output_text" if self.role == "assistant" else "input_text"
        texts = [self.content] if isinstance(self.content, str) else [_text(part) for part in self.content]
        return {
            "type": "message",
            "role": self.role,
            "content": [{"type": kind, "text": text} for text in texts],
        }


class FunctionCallItem(Strict):
    """A call that a model made earlier."""

    type: Literal["function_call"]
    call_id: NonEmpty
    name: NonEmpty
    arguments: Text
    id: Text | None = None
    status: ItemStatus | None = None
    namespace: Refused = None
    caller: Refused = None

    def kept(self) -> Item:
        return {
            "type": "function_call",
            "call_id": self.call_id,
            "name": self.name,
            "arguments": self.arguments,
        }


class FunctionCallOutputItem(Strict):
    """What came of a call."""

    type: Literal["function_call_output"]
    call_id: NonEmpty
    output: Content
    id: Text | None = None
    name: Text | None = None
    status: ItemStatus | None = None
    namespace: Refused = None
    caller: Refused = None

    def kept(self) -> Item:
        output = self.output if isinstance(self.output, str) else "\n".join(map(_text, self.output))
        return {"type": "function_call_output", "call_id": self.call_id, "output": output}


class ItemReference(Strict):
    """An item of an earlier response, or of a conversation, by its id."""

    type: Literal["item_reference"] | None = None
    id: NonEmpty


def _item_kind(value: object) -> str:
    if not isinstance(value, Mapping):
        return "message"
    kind = value.get("type")
    if kind is None:
        return "item_reference" if "id" in value and "role" not in value else "message"
    known = kind in ("message", "function_call", "function_call_output", "item_reference")
    return str(kind) if known else "other"


InputItem = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[FunctionCallItem, Tag("function_call")]
    | Annotated[FunctionCallOutputItem, Tag("function_call_output")]
    | Annotated[ItemReference, Tag("item_reference")]
    | SkipJsonSchema[Annotated[OtherKind, Tag("other")]],
    Discriminator(_item_kind),
]

Input = Annotated[
    Annotated[NonEmpty, Tag("string")] | Annotated[list[InputItem], Tag("list")], Discriminator(_form)
]


def input_items(given: str | list[Any] | None) -> list[Any]:
    """The items of an `input` field in whichever form it came."""
    if isinstance(given, str):
        return [MessageItem(role="user", content=given)]
    return given or []


def kept_items(items: Sequence[Any], known: Mapping[str, Item]) -> list[Item]:
    """The items as they are kept, with ``known`` ones in the place of references to them."""
    return [known[item.id] if isinstance(item, ItemReference) else item.kept() for item in items]


def _text(part: Any) -> str:
    return part.refusal if isinstance(part, RefusalContent) else str(part.text)

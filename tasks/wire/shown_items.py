"""Items as a client is shown them."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, RootModel

from tasks.wire.item_ids import item_id
from tasks.wire.logprobs import ChatTokenLogprob
from tasks.wire.response_items import Item, ItemStatus


class InputTextContent(BaseModel):
    """Text that a model was given."""

    type: Literal["input_text"] = "input_text"
    text: str


class OutputTextContent(BaseModel):
    """Text that a model wrote."""

    type: Literal["output_text"] = "output_text"
    text: str
    annotations: list[dict[str, Any]] = Field(default_factory=list, description="There are never any here.")
    logprobs: list[ChatTokenLogprob] = Field(default_factory=list)


MessageContent = Annotated[InputTextContent | OutputTextContent, Field(discriminator="type")]


class ShownMessage(BaseModel):
    """A message."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["user", "assistant", "system", "developer"]
    status: ItemStatus
    content: list[MessageContent]


class ShownFunctionCall(BaseModel):
    """A call that a model made."""

    id: str
    type: Literal["function_call"] = "function_call"
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


class ShownFunctionCallOutput(BaseModel):
    """What came of a call."""

    id: str
    type: Literal["function_call_output"] = "function_call_output"
    status: ItemStatus
    call_id: str
    output: str


ShownItem = Annotated[ShownMessage | ShownFunctionCall | ShownFunctionCallOutput, Field(discriminator="type")]
OutputItem = Annotated[ShownMessage | ShownFunctionCall, Field(discriminator="type")]

_SHOWN: dict[str, type[ShownMessage] | type[ShownFunctionCall] | type[ShownFunctionCallOutput]] = {
    "message": ShownMessage,
    "function_call": ShownFunctionCall,
    "function_call_output": ShownFunctionCallOutput,
}


class ItemBody(RootModel[ShownItem]):
    """An item."""


class ItemListBody(BaseModel):
    """A page of items."""

    object: Literal["list"] = "list"
    data: list[ShownItem]
    first_id: str | None
    last_id: str | None
    has_more: bool


def shown_item(item: Item, digits: str, number: int) -> ShownItem:
    """An item that is kept, under its id."""
    made = _SHOWN[item["type"]]
    return made.model_validate({**item, "id": item_id(item["type"], digits, number), "status": "completed"})


def item_list(items: Sequence[ShownItem], *, has_more: bool) -> ItemListBody:
    return ItemListBody(
        data=list(items),
        first_id=items[0].id if items else None,
        last_id=items[-1].id if items else None,
        has_more=has_more,
    )


def kept_item(shown: ShownItem) -> Item | None:
    """An item as it is kept; None for a call that was cut off, which nobody can answer."""
    if isinstance(shown, ShownMessage):
        content = [{"type": part.type, "text": part.text} for part in shown.content]
        return {"type": "message", "role": shown.role, "content": content}
    if isinstance(shown, ShownFunctionCall) and shown.status == "incomplete":
        return None
    return shown.model_dump(exclude={"id", "status"})

"""Kinds of fields that the request models of several endpoints share."""

from typing import Annotated, NoReturn

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    Tag,
)
from pydantic_core import PydanticCustomError

from tasks.wire.forms import by_form, text_or_list

MAX_SEED = 2**63 - 1
UNSUPPORTED = "unsupported_parameter"
"""The error code of a parameter that the API knows but this platform does not honour."""


def _refuse_nul(value: str) -> str:
    """Postgres stores no NUL: say so here, not with a failure later."""
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    return value


def _refuse(value: object) -> None:
    if value is not None:
        raise PydanticCustomError(UNSUPPORTED, "this parameter is not supported here")


def _refuse_kind(value: object) -> NoReturn:
    raise PydanticCustomError(UNSUPPORTED, "this kind is not supported here")


Text = Annotated[str, AfterValidator(_refuse_nul)]
NonEmpty = Annotated[str, StringConstraints(min_length=1), AfterValidator(_refuse_nul)]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_refuse_nul)]
MetadataValue = Annotated[str, StringConstraints(max_length=512), AfterValidator(_refuse_nul)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]
StopString = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_refuse_nul)]
StopStrings = Annotated[list[StopString], Field(min_length=1, max_length=4)]
# Told apart by form, so that a fault names the wrong string and not every reading it does not fit.
Stop = Annotated[
    Annotated[StopString, Tag("a text")] | Annotated[StopStrings, Tag("a list")],
    by_form(text_or_list, "a string or a list of strings"),
]
Refused = Annotated[None, BeforeValidator(_refuse), Field(description="Not supported: only `null` is taken.")]
"""A parameter of the OpenAI API that is refused by name instead of being ignored in silence."""
RefusedKind = Annotated[None, BeforeValidator(_refuse_kind)]
"""The field that tells kinds apart, of a kind that no model understands: refused whatever it holds."""


class Strict(BaseModel):
    """Unknown fields and near-misses of type are refused, never dropped or bent."""

    model_config = ConfigDict(extra="forbid", strict=True)


def stop_strings(stop: str | list[str] | None) -> tuple[str, ...]:
    """A `stop` field in whichever form it came."""
    if stop is None:
        return ()
    return (stop,) if isinstance(stop, str) else tuple(stop)

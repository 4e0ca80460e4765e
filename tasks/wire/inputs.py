"""Prompts and inputs to embed: a text or token ids, alone or several of them."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Discriminator, Field

from inference.errors import InvalidPrompt
from tasks.errors import InvalidRequest
from tasks.wire.forms import by_form

TokenId = Annotated[int, Field(ge=0, lt=2**31)]
TokenIds = Annotated[list[TokenId], Field(min_length=1)]

Input = str | list[int]
Inputs = str | list[str] | list[int] | list[list[int]]


def input_form(value: Any) -> str | None:
    """A list is told by its first entry; the others are then held to the same form."""
    if isinstance(value, str):
        return "a text"
    if not isinstance(value, list):
        return None
    first = value[0] if value else ""
    if isinstance(first, str):
        return "texts"
    return "token lists" if isinstance(first, list) else "tokens"


INPUT_FORM: Discriminator = by_form(
    input_form, "a string, a list of strings, a list of token ids or a list of such lists"
)


def inputs_of(inputs: Inputs, param: str) -> list[tuple[str, Input]]:
    """Each of them with its place in the request, such as ``prompt[2]``."""
    if isinstance(inputs, str):
        return [(param, inputs)]
    several: list[Input] = [one for one in inputs if not isinstance(one, int)]
    if several:
        return [(f"{param}[{index}]", one) for index, one in enumerate(several)]
    return [(param, [token_id for token_id in inputs if isinstance(token_id, int)])]


def check_token_ids(token_ids: Sequence[int], vocabulary: int, param: str) -> None:
    """Raises InvalidRequest for an id that a vocabulary of that size does not have."""
    for index, token_id in enumerate(token_ids):
        check_token_id(token_id, vocabulary, f"{param}[{index}]")


def check_token_id(token_id: int, vocabulary: int, param: str) -> int:
    """Raises InvalidRequest."""
    if token_id >= vocabulary:
        raise InvalidRequest(
            f"Invalid '{param}': {token_id} is no token; the ids are 0 to {vocabulary - 1}.", param=param
        )
    return token_id


def refused_input(error: InvalidPrompt, param: str) -> InvalidRequest:
    """The refusal of one of the inputs."""
    return InvalidRequest(f"Invalid '{param}': {error}", param=param)

"""What is told to whom a body is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from tasks.errors import InvalidRequest
from tasks.wire.faults import invalid_request


def refusal(adapter: TypeAdapter[Any], plan: Callable[[Any], object], body: dict[str, Any]) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        plan(_read(adapter, body))
    return caught.value


def _read(adapter: TypeAdapter[Any], body: dict[str, Any]) -> Any:
    try:
        return adapter.validate_python(body)
    except ValidationError as error:
        raise invalid_request(error, body) from None

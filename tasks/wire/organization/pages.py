"""Pages of the admin API's lists."""

from collections.abc import Callable
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from tasks.pages import Page

Body = TypeVar("Body", bound=BaseModel)
Item = TypeVar("Item")


class ListBody(BaseModel, Generic[Body]):
    """A page of a list; `last_id` is the next page's `after`."""

    object: Literal["list"] = "list"
    data: list[Body]
    first_id: str | None
    last_id: str | None
    has_more: bool


def list_values(page: Page[Item], render: Callable[[Item], Any]) -> dict[str, Any]:
    """The values of a list's body."""
    data = [render(item) for item in page.items]
    ids = [body.id for body in data]
    return {
        "data": data,
        "first_id": ids[0] if ids else None,
        "last_id": ids[-1] if ids else None,
        "has_more": page.has_more,
    }

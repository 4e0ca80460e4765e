"""Fields that may be written in several forms: told apart by their form, so that faults name one place."""

from collections.abc import Callable
from typing import Any

from pydantic import Discriminator


def by_form(form: Callable[[Any], str | None], expected: str) -> Discriminator:
    """``form`` names the tag of a value's form; None, and the value is refused as not ``expected``."""
    return Discriminator(
        form, custom_error_type="form_type", custom_error_message=f"Input should be {expected}"
    )


def text_or_list(value: Any) -> str | None:
    """Tags stand in the paths of faults, so none may read like the name of a field."""
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else None

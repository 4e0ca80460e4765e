"""Prompts out of rows: ``Summarize: {text}`` with each row's own text."""

from collections.abc import Mapping, Sequence
from string import Formatter
from typing import Self

from web.batch_client.errors import ClientFailure


class PromptTemplate:
    """Text with the names of columns in braces; ``{{`` and ``}}`` are braces."""

    def __init__(self, parts: Sequence[tuple[str, str | None]]) -> None:
        self._parts = parts

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ClientFailure."""
        parts = []
        try:
            for literal, name, spec, conversion in Formatter().parse(text):
                if name is not None and (not name or spec or conversion):
                    raise ValueError("a pair of braces holds the name of a column and nothing else")
                parts.append((literal, name))
        except ValueError as error:
            raise ClientFailure(
                f"The prompt {text!r} can't be read: {error}. Write {{{{ and }}}} for braces."
            ) from error
        return cls(parts)

    @property
    def columns(self) -> list[str]:
        return [name for _, name in self._parts if name is not None]

    def check(self, columns: Sequence[str]) -> None:
        """Raises ClientFailure for a column that is not there."""
        for name in self.columns:
            if name not in columns:
                raise ClientFailure(
                    f"The prompt names the column {name!r}; the file has {', '.join(map(repr, columns))}."
                )

    def fill(self, row: Mapping[str, object]) -> str:
        """The prompt of a row; an empty cell is no text."""
        return "".join(
            literal + ("" if name is None or (value := row[name]) is None else str(value))
            for literal, name in self._parts
        )

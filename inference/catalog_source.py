"""TOML text that knows on which line each of its keys stands."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, TypeVar

from inference.catalog_values import Value
from inference.errors import CatalogError

ReadValue = TypeVar("ReadValue", bound=Value)
KeyPath = tuple[str, ...]

HEADER = re.compile(r"\s*\[\s*(?P<path>[^\[\]]+?)\s*\]\s*(#.*)?$")
ASSIGNMENT = re.compile(r"""\s*(?P<path>(?:[A-Za-z0-9_.\s-]|"[^"]*"|'[^']*')+?)\s*=""")
PATH_PART = re.compile(r""""([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+)""")
SYNTAX_ERROR_LINE = re.compile(r"\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class Place:
    label: str
    line: int


@dataclass(frozen=True)
class Table:
    """A TOML table, the dotted path of keys to it, and where each of its keys was written."""

    path: KeyPath
    values: Mapping[str, Any]
    places: Mapping[KeyPath, Place]
    fallback: Place

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def error(self, key: str, problem: str) -> CatalogError:
        """The error to raise about ``key`` ("" for the table itself)."""
        path = (*self.path, key) if key else self.path
        place = self._place(path)
        return CatalogError(f"{place.label}, line {place.line}: {'.'.join(path)}: {problem}")

    def _place(self, path: KeyPath) -> Place:
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, self.fallback)

    def check(self, key: str, reader: Callable[[object], ReadValue], value: object) -> ReadValue:
        try:
            return reader(value)
        except ValueError as error:
            raise self.error(key, str(error)) from error

    def read(self, key: str, reader: Callable[[object], ReadValue]) -> ReadValue:
        return self.check(key, reader, self.values[key])

    def refuse_unknown_keys(self, known: Iterable[str]) -> None:
        for key in self.values:
            if key not in known:
                raise self.error(key, f"unknown key; known are {', '.join(known)}")

    def require(self, keys: Iterable[str]) -> None:
        for key in keys:
            if key not in self.values:
                raise self.error("", f"the key {key!r} is missing")

    def subtable(self, key: str) -> "Table":
        if not isinstance(self.values[key], dict):
            raise self.error(key, "must be a table")
        return replace(self, path=(*self.path, key), values=self.values[key])

    def merged_with(self, over: "Table") -> "Table":
        """This table with the keys of ``over`` replacing its own, tables inside merged the same way."""
        return replace(self, values=_merge(self.values, over.values), places={**self.places, **over.places})


@dataclass(frozen=True)
class CatalogSource:
    """One catalogue text. ``label`` is what errors call it."""

    label: str
    root: Mapping[str, Any]
    places: Mapping[KeyPath, Place] = field(repr=False)

    @classmethod
    def parse(cls, label: str, content: str) -> "CatalogSource":
        """Raises CatalogError on text that is no TOML (a name given twice is none)."""
        try:
            root = tomllib.loads(content, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise _syntax_error(label, content, str(error)) from error
        return cls(label, root, _find_places(label, content))

    def models(self) -> dict[str, Table]:
        """The tables under ``models``, by name."""
        top = Table((), self.root, self.places, Place(self.label, 1))
        top.refuse_unknown_keys(("models",))
        if "models" not in top:
            return {}
        models = top.subtable("models")
        return {name: models.subtable(name) for name in models.values}


def _merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        both_tables = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merge(merged[key], value) if both_tables else value
    return merged


def _syntax_error(label: str, content: str, message: str) -> CatalogError:
    found = SYNTAX_ERROR_LINE.search(message)
    line = int(found[1]) if found else max(1, content.count("\n"))
    written = content.splitlines()[line - 1].strip() if content.splitlines()[line - 1 : line] else ""
    problem = SYNTAX_ERROR_LINE.sub("", message).replace("(at end of document)", "").strip()
    return CatalogError(f"{label}, line {line}: {written or 'end of text'}: {problem}")


def _find_places(label: str, content: str) -> dict[KeyPath, Place]:
    """Where each key stands. tomllib keeps no positions; the text is valid TOML by now, so headers
    and assignments at the start of a line are all there is to look for."""
    places: dict[KeyPath, Place] = {}
    table: KeyPath = ()
    for number, line in enumerate(content.splitlines(), start=1):
        if header := HEADER.match(line):
            table = _split_path(header["path"])
            places.setdefault(table, Place(label, number))
        elif assignment := ASSIGNMENT.match(line):
            path = (*table, *_split_path(assignment["path"]))
            for length in range(len(table) + 1, len(path) + 1):
                places.setdefault(path[:length], Place(label, number))
    return places


def _split_path(written: str) -> KeyPath:
    return tuple(double or single or bare for double, single, bare in PATH_PART.findall(written))

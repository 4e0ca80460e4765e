"""Rows on their way into a table by COPY, more than memory is to hold: they wait in a temporary file."""

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

import psycopg2
from sqlalchemy import Connection

from tasks.errors import DatabaseUnavailable

_ROWS_AT_ONCE = 500
# What COPY's text format reads in another way.
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile("[\\\\\t\n\r]")


class RowSpool:
    """Rows of one table, each with a value for every column. A context manager."""

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = tuple(columns)
        # Closed by __exit__.
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n")  # noqa: SIM115
        self._waiting: list[str] = []
        self.rows = 0

    def __enter__(self) -> "RowSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, values: Mapping[str, Any]) -> None:
        self._waiting.append("\t".join([_field(values[column]) for column in self._columns]) + "\n")
        self.rows += 1
        if len(self._waiting) == _ROWS_AT_ONCE:
            self._write()

    def copy_into(self, connection: Connection) -> None:
        """Insert all rows, in the caller's transaction. Raises DatabaseUnavailable."""
        if not self.rows:
            return
        self._write()
        self._file.seek(0)
        statement = f"COPY {self._table} ({', '.join(self._columns)}) FROM STDIN"
        try:
            cursor: Any = connection.connection.cursor()
            with cursor:
                cursor.copy_expert(statement, self._file)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise DatabaseUnavailable from error

    def _write(self) -> None:
        self._file.writelines(self._waiting)
        self._waiting.clear()


def _field(value: object) -> str:
    match value:
        case None:
            return "\\N"
        case str():
            return _ESCAPED.sub(_escape, value)
        case bool():
            return "t" if value else "f"
        case int() | Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case dict():
            return _ESCAPED.sub(_escape, json.dumps(value, separators=(",", ":")))
        case list():
            return "{" + ",".join(map(str, value)) + "}"
    raise TypeError(f"no field of a row: {type(value).__name__}")


def _escape(found: re.Match[str]) -> str:
    return _ESCAPES[found.group()]

"""Rows on their way into a table by COPY, more than memory is to hold: they wait in a temporary file."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

import psycopg2
from sqlalchemy import Connection

from tasks.errors import DatabaseUnavailable

_IN_MEMORY_BYTES = 4 * 1024 * 1024
# What COPY's text format reads in another way.
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class RowSpool:
    """Rows of one table, each with a value for every column. A context manager."""

    def __init__(self, table: str, columns: Sequence[str]) -> None:
        self._table = table
        self._columns = tuple(columns)
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 (closed by __exit__)
            _IN_MEMORY_BYTES, mode="w+", encoding="utf-8", newline="\n"
        )
        self.rows = 0

    def __enter__(self) -> "RowSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, values: Mapping[str, Any]) -> None:
        self._file.write("\t".join([_field(values[column]) for column in self._columns]))
        self._file.write("\n")
        self.rows += 1

    def copy_into(self, connection: Connection) -> None:
        """Insert all rows, in the caller's transaction. Raises DatabaseUnavailable."""
        if not self.rows:
            return
        self._file.seek(0)
        statement = f"COPY {self._table} ({', '.join(self._columns)}) FROM STDIN"
        try:
            cursor: Any = connection.connection.cursor()
            with cursor:
                cursor.copy_expert(statement, self._file)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise DatabaseUnavailable from error


def _field(value: object) -> str:
    match value:
        case None:
            return "\\N"
        case bool():
            return "t" if value else "f"
        case str():
            return value.translate(_ESCAPES)
        case int() | Decimal():
            return str(value)
        case datetime():
            return value.isoformat()
        case dict():
            return json.dumps(value, separators=(",", ":")).translate(_ESCAPES)
        case list():
            return "{" + ",".join(map(str, value)) + "}"
    raise TypeError(f"no field of a row: {type(value).__name__}")

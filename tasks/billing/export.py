"""The ledger of a period as a file, written as it is read: a million rows take no more memory than a few."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, Literal, get_args

from tasks.billing.columns import LEDGER_COLUMNS, Column, Row, ledger_rows
from tasks.billing.entries import all_entries
from tasks.billing.focus import FOCUS_COLUMNS, focus_rows
from tasks.billing.period import Period
from tasks.errors import InvalidRequest
from tasks.pricing import usd_text

Format = Literal["csv", "jsonl", "parquet"]
FORMATS: tuple[Format, ...] = get_args(Format)
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
_ROWS_AT_ONCE = 1000


def export(
    period: Period, form: Format, *, focus: bool = False, project_id: str | None = None
) -> Iterator[bytes]:
    """A period's entries, of one project or of all, piece by piece.

    Raises InvalidRequest where Parquet can't be written here.
    """
    columns, rows_of = (FOCUS_COLUMNS, focus_rows) if focus else (LEDGER_COLUMNS, ledger_rows)
    rows = (row for entry in all_entries(period, project_id) for row in rows_of(entry))
    if form == "parquet":
        return _parquet(columns, _chunks(rows))
    return {"csv": _csv, "jsonl": _jsonl}[form](columns, _chunks(rows))


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _ROWS_AT_ONCE)):
        yield chunk


def _csv(columns: Sequence[Column], chunks: Iterable[list[Row]]) -> Iterator[bytes]:
    yield _csv_lines([[column.name for column in columns]])
    for chunk in chunks:
        yield _csv_lines([[_cell(row[column.name]) for column in columns] for row in chunk])


def _csv_lines(lines: Iterable[Sequence[str]]) -> bytes:
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(lines)
    return written.getvalue().encode()


def _cell(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    return json.dumps(plain) if isinstance(plain, dict) else str(plain)


def _jsonl(columns: Sequence[Column], chunks: Iterable[list[Row]]) -> Iterator[bytes]:
    for chunk in chunks:
        lines = [json.dumps({column.name: _plain(row[column.name]) for column in columns}) for row in chunk]
        yield ("\n".join(lines) + "\n").encode()


def _plain(value: Any) -> Any:
    """Money as text, since a number in JSON may lose digits on its way."""
    if isinstance(value, Decimal):
        return usd_text(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value


def _parquet(columns: Sequence[Column], chunks: Iterable[list[Row]]) -> Iterator[bytes]:
    try:
        from tasks.billing.parquet import parquet
    except ImportError as error:
        raise InvalidRequest(
            "Parquet needs the extra `parquet` to be installed; csv and jsonl do not.", param="format"
        ) from error
    return parquet(columns, chunks)

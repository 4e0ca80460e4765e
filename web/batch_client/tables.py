"""Tables: rows with named columns, read and written in the order of the file, never held as a whole."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from web.batch_client.errors import ClientFailure

Row = Mapping[str, object]
# Answers may be longer than the module's own limit for a field.
_LONGEST_CELL = 2**31 - 1


class Table(Protocol):
    """A file with rows."""

    @property
    def columns(self) -> Sequence[str]: ...

    def rows(self) -> Iterator[Row]: ...

    def write(self, path: Path, added: Mapping[str, type], rows: Iterator[Sequence[object]]) -> None:
        """The same table with columns added, whose values ``rows`` gives for each row in turn."""
        ...


def open_table(path: Path) -> Table | None:
    """The table of a file named `.csv` or `.parquet`; None for any other. Raises ClientFailure."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return CsvTable(path)
    return _parquet(path) if suffix == ".parquet" else None


class CsvTable:
    """Comma-separated values in UTF-8, the first line names the columns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        csv.field_size_limit(_LONGEST_CELL)
        self.columns: Sequence[str] = next(self._lines(), [])
        if not self.columns:
            raise ClientFailure(f"{path} is empty.")
        if len(set(self.columns)) != len(self.columns):
            raise ClientFailure(f"{path} has two columns of one name.")

    def rows(self) -> Iterator[Row]:
        for cells in self._body():
            yield dict(zip(self.columns, cells, strict=True))

    def write(self, path: Path, added: Mapping[str, type], rows: Iterator[Sequence[object]]) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow([*self.columns, *added])
            for cells, more in zip(self._body(), rows, strict=True):
                writer.writerow([*cells, *more])

    def _body(self) -> Iterator[list[str]]:
        lines = self._lines()
        next(lines)
        for number, cells in enumerate(lines, start=1):
            if len(cells) != len(self.columns):
                raise ClientFailure(
                    f"Row {number} of {self._path} has {len(cells)} cells, and there are "
                    f"{len(self.columns)} columns."
                )
            yield cells

    def _lines(self) -> Iterator[list[str]]:
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                yield from (cells for cells in csv.reader(file) if cells)
        except (UnicodeDecodeError, csv.Error) as error:
            raise ClientFailure(f"{self._path} is no CSV in UTF-8: {error}.") from error


def _parquet(path: Path) -> Table:
    try:
        from web.batch_client.parquet import ParquetTable
    except ImportError as error:
        raise ClientFailure(
            "Parquet files need pyarrow, which is not installed: pip install 'tokenmill[parquet]'."
        ) from error
    return ParquetTable(path)

"""Rows as a Parquet file, one group of rows after the other."""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.billing.columns import Column, Row

_TYPES = {
    "text": pa.string(),
    "integer": pa.int64(),
    "decimal": pa.decimal128(38, 12),
    "moment": pa.timestamp("us", tz="UTC"),
}
# Small groups would make a large file: each has a header of its own.
_CHUNKS_IN_A_GROUP = 10


class _Sink(io.RawIOBase):
    """Takes what is written until it is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self._written = bytearray()
        self._offset = 0

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self._written += piece
        self._offset += len(piece)
        return len(piece)

    def tell(self) -> int:
        return self._offset

    def fetch(self) -> bytes:
        written = bytes(self._written)
        self._written.clear()
        return written


def parquet(columns: Sequence[Column], chunks: Iterable[list[Row]]) -> Iterator[bytes]:
    schema = pa.schema([(column.name, _TYPES[column.kind]) for column in columns])
    sink = _Sink()
    writer = pq.ParquetWriter(sink, schema, compression="zstd")
    group: list[Row] = []
    for count, chunk in enumerate(chunks, start=1):
        group += map(_flat, chunk)
        if count % _CHUNKS_IN_A_GROUP == 0:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            group.clear()
            yield sink.fetch()
    if group:
        writer.write_table(pa.Table.from_pylist(group, schema=schema))
    writer.close()
    yield sink.fetch()


def _flat(row: Row) -> Row:
    return {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()}

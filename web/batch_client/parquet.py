"""Parquet files as tables; the only module that needs pyarrow."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from web.batch_client.errors import ClientFailure
from web.batch_client.tables import Row

_ROWS_AT_A_TIME = 1024
_TYPES = {str: pa.string(), int: pa.int64()}


class ParquetTable:
    """A Parquet file."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = pq.ParquetFile(path)
        except (pa.ArrowException, OSError) as error:
            raise ClientFailure(f"{path} is no Parquet file: {error}.") from error
        self._schema: pa.Schema = self._file.schema_arrow
        self.columns: Sequence[str] = self._schema.names

    def rows(self) -> Iterator[Row]:
        for batch in self._file.iter_batches(_ROWS_AT_A_TIME):
            yield from batch.to_pylist()

    def write(self, path: Path, added: Mapping[str, type], rows: Iterator[Sequence[object]]) -> None:
        schema = self._schema
        for name, kind in added.items():
            schema = schema.append(pa.field(name, _TYPES[kind]))
        with pq.ParquetWriter(path, schema) as writer:
            for batch in self._file.iter_batches(_ROWS_AT_A_TIME):
                columns = zip(*islice(rows, batch.num_rows), strict=True)
                more = [
                    pa.array(values, _TYPES[kind])
                    for values, kind in zip(columns, added.values(), strict=True)
                ]
                writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, *more], schema=schema))

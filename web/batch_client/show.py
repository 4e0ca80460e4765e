"""Batches in a few words."""

from collections.abc import Iterator
from datetime import datetime

from tasks.pricing import usd_text
from web.batch_client.batch import RemoteBatch

BATCH_COLUMNS = ("ID", "STATUS", "DONE", "TOTAL", "ERRORS", "USD", "CREATED")


def batch_row(batch: RemoteBatch) -> tuple[str, ...]:
    counts = (batch.done, batch.total, batch.failed)
    return (batch.id, batch.status, *map(str, counts), usd_text(batch.cost_usd), _moment(batch.created_at))


def batch_lines(batch: RemoteBatch) -> Iterator[str]:
    """All there is to say of one."""
    yield f"{batch.id} {batch.status}"
    yield f"  model    {batch.model or 'not known yet'}"
    yield f"  lines    {batch.done:,} of {batch.total:,} done, {batch.failed:,} of them with errors"
    yield f"  tokens   {batch.input_tokens:,} input, {batch.output_tokens:,} output"
    yield f"  cost     ${usd_text(batch.cost_usd)}"
    yield f"  created  {_moment(batch.created_at)}"
    if batch.expires_at is not None:
        yield f"  expires  {_moment(batch.expires_at)}"
    for name, file_id in (("output", batch.output_file_id), ("errors", batch.error_file_id)):
        if file_id is not None:
            yield f"  {name}   {file_id}"
    yield from (f"  {fault}" for fault in batch.faults)


def _moment(unix_seconds: int) -> str:
    return f"{datetime.fromtimestamp(unix_seconds).astimezone():%Y-%m-%d %H:%M:%S}"

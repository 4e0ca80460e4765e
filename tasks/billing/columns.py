"""The columns of the ledger's own export."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tasks.billing.entries import BilledEntry

Kind = Literal["text", "integer", "decimal", "moment"]
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind = "text"


LEDGER_COLUMNS = (
    Column("id", "integer"),
    Column("created_at", "moment"),
    *(Column(name) for name in ("project_id", "project", "kind")),
    Column("amount_usd", "decimal"),
    *(Column(name, "integer") for name in ("prompt_tokens", "cached_tokens", "completion_tokens")),
    *(Column(name) for name in ("job_id", "batch_id", "api_key_id", "api_key")),
    *(Column(name) for name in ("model", "endpoint", "service_tier")),
    *(Column(f"price_{name}_usd", "decimal") for name in ("input", "cached_input", "output")),
    *(Column(name) for name in ("reason", "business_key")),
)


def ledger_rows(entry: BilledEntry) -> Iterator[Row]:
    """An entry as it stands in the ledger, with what its job was asked by and for."""
    yield {column.name: getattr(entry, column.name) for column in LEDGER_COLUMNS}

"""Chains and signs receipts, seconds behind the charges.

A charge begins its receipt in its own transaction, so none is lost. It is chained here, by one process at a
time: in the charging transaction, finishes would wait for each other's signatures, and every worker would
have to hold the private key.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, func, select, update

from tasks.db import transaction
from tasks.models import Job, LedgerEntry, Model, Receipt
from tasks.receipts.canonical import canonical, sha256_of
from tasks.receipts.document import document
from tasks.receipts.errors import ReceiptsNotConfigured
from tasks.receipts.signing import SigningKey, signing_key

_AT_ONCE = 200
_ALONE = 7_270_016


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain."""

    sequence: int
    sha256: str | None


def sign_receipts() -> int:
    """Sign those that were begun; returns how many. Without a key they wait for one.

    Raises ReceiptKeyInvalid.
    """
    try:
        key = signing_key()
    except ReceiptsNotConfigured:
        return 0
    count = 0
    while True:
        with transaction() as connection:
            signed = _sign_some(connection, key)
        count += signed
        if signed < _AT_ONCE:
            return count


def _sign_some(connection: Connection, key: SigningKey) -> int:
    if not connection.execute(select(func.pg_try_advisory_xact_lock(_ALONE))).scalar_one():
        return 0
    rows = connection.execute(_UNSIGNED).mappings().all()
    heads = {project_id: _head(connection, project_id) for project_id in {row["project_id"] for row in rows}}
    signed = [_signed(row, heads, key) for row in rows]
    if signed:
        connection.execute(_SIGN, signed)
    return len(signed)


def _head(connection: Connection, project_id: str) -> Head:
    """The last receipt of a project: its place in the chain and its hash."""
    query = (
        select(Receipt.sequence, Receipt.sha256)
        .where(Receipt.project_id == project_id, Receipt.sequence.is_not(None))
        .order_by(Receipt.sequence.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return Head(0, None) if row is None or row.sequence is None else Head(row.sequence, row.sha256)


def _signed(row: RowMapping, heads: dict[str, Head], key: SigningKey) -> dict[str, Any]:
    """As the table has it; it is its project's head from now on."""
    before = heads[row["project_id"]]
    sequence = before.sequence + 1
    content = document(row, sequence=sequence, previous=before.sha256, key_id=key.public.id)
    written = canonical(content)
    digest = sha256_of(written)
    heads[row["project_id"]] = Head(sequence, digest)
    return {
        "of_job": row["job_id"],
        "new_sequence": sequence,
        "new_document": written.decode(),
        "new_sha256": digest,
        "new_signature": key.sign(written),
    }


_UNSIGNED = (
    select(
        Receipt.job_id,
        Receipt.project_id,
        Receipt.ledger_entry_id,
        LedgerEntry.business_key,
        LedgerEntry.amount_usd,
        LedgerEntry.prompt_tokens,
        LedgerEntry.cached_tokens,
        LedgerEntry.completion_tokens,
        Model.revision,
        Model.quantization,
        Job.type,
        Job.endpoint,
        Job.status,
        Job.batch_id,
        Job.service_tier,
        Job.ended_at,
        Job.model,
        Job.system_fingerprint,
        Job.request,
        Job.sampling,
        Job.max_tokens,
        Job.seed,
        Job.price_input_usd,
        Job.price_cached_input_usd,
        Job.price_output_usd,
        Job.prompt_token_ids,
        Job.prompt_lengths,
        Job.output_token_ids,
        Job.choices,
    )
    .join(LedgerEntry, LedgerEntry.id == Receipt.ledger_entry_id)
    .join(Job, Job.id == Receipt.job_id)
    .join(Model, Model.name == Job.model)
    .where(Receipt.sequence.is_(None))
    .order_by(Receipt.ledger_entry_id)
    .limit(_AT_ONCE)
)
_SIGN = (
    update(Receipt)
    .where(Receipt.job_id == bindparam("of_job"), Receipt.sequence.is_(None))
    .values({name: bindparam(f"new_{name}") for name in ("sequence", "document", "sha256", "signature")})
)

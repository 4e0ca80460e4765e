"""Signed receipts, one by one or a project's whole chain."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from tasks.db import transaction
from tasks.job_queries import read_job
from tasks.models import Receipt
from tasks.receipts.errors import JobNotEnded, ReceiptNotFound, ReceiptNotReady
from tasks.receipts.signing import signing_key

_PAGE = 1000


@dataclass(frozen=True, slots=True)
class SignedReceipt:
    """``document`` is canonical JSON; hash and signature are of exactly that."""

    document: str
    sha256: str
    signature: str

    @property
    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.document)
        return content


def get_receipt(project_id: str, job_id: str) -> SignedReceipt:
    """Raises JobNotFound, JobNotEnded, ReceiptNotFound, ReceiptNotReady, ReceiptsNotConfigured."""
    query = select(Receipt.document, Receipt.sha256, Receipt.signature)
    with transaction() as connection:
        job = read_job(connection, project_id, job_id)
        row = connection.execute(query.where(Receipt.job_id == job.id)).first()
    if not job.status.ended:
        raise JobNotEnded("The job has not ended, so there is no receipt yet.", param="job_id")
    if row is None:
        raise ReceiptNotFound("Nothing was charged for this job, so it has no receipt.", param="job_id")
    if row.document is None or row.sha256 is None or row.signature is None:
        signing_key()
        raise ReceiptNotReady
    return SignedReceipt(row.document, row.sha256, row.signature)


def export_receipts(project_id: str) -> Iterator[bytes]:
    """A project's chain from its beginning, a line for each; in the same memory however long it is."""
    columns = (Receipt.sequence, Receipt.document, Receipt.sha256, Receipt.signature)
    after = 0
    while True:
        query = select(*columns).where(Receipt.project_id == project_id, Receipt.sequence > after)
        with transaction() as connection:
            rows = connection.execute(query.order_by(Receipt.sequence).limit(_PAGE)).all()
        for row in rows:
            # As it was signed, not written anew.
            yield (
                f'{{"receipt":{row.document},"sha256":"{row.sha256}","signature":"{row.signature}"}}\n'
            ).encode()
        if len(rows) < _PAGE:
            return
        after = rows[-1].sequence

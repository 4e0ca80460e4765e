"""The admitting transaction: job, hold and idempotency record, of all requests that come together."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.dialects.postgresql import insert

from tasks import job_caps, jobs, ledger
from tasks.db import transaction
from tasks.errors import DatabaseUnavailable
from tasks.group_commit import GroupCommit
from tasks.job_caps import JobCap
from tasks.ledger import NewHold, Payer
from tasks.models import IdempotencyKey


@dataclass(frozen=True, slots=True)
class Candidate:
    """A job about to be admitted: its row, the money to hold, and the client's key where there is one."""

    values: dict[str, Any]
    hold_usd: Decimal
    idempotency_key: str | None
    body_sha256: bytes
    caps: tuple[JobCap, ...] = ()

    @property
    def job_id(self) -> str:
        job_id: str = self.values["id"]
        return job_id

    @property
    def project_id(self) -> str:
        project_id: str = self.values["project_id"]
        return project_id

    @property
    def hold(self) -> NewHold:
        return NewHold(self.job_id, Payer(self.project_id, self.values["api_key_id"]), self.hold_usd)

    @property
    def key(self) -> tuple[str, str]:
        return self.project_id, self.idempotency_key or ""


Moments = dict[str, datetime]


def admit(candidate: Candidate) -> Moments | None:
    """Commit a job; its ``created_at`` and ``expires_at``, or None where its idempotency key is taken.

    Raises:
        InsufficientQuota: the budget does not cover it.
        TooManyJobs: a cap on unfinished jobs has no room for it.
        DatabaseUnavailable: nothing was acknowledged.
    """
    return _writer().write(candidate)


def _write_one(candidate: Candidate) -> Moments | None:
    return _write_all([candidate])[0]


def _write_all(candidates: Sequence[Candidate]) -> list[Moments | None]:
    with transaction() as connection:
        taken = _reserve_keys(connection, candidates)
        admitted = [candidate for candidate in candidates if candidate.job_id not in taken]
        moments = jobs.create(connection, [candidate.values for candidate in admitted])
        ledger.hold(connection, [candidate.hold for candidate in admitted])
        # After the holds, whose locks make admissions of one project follow each other.
        job_caps.check(connection, [cap for candidate in admitted for cap in candidate.caps])
    return [moments.get(candidate.job_id) for candidate in candidates]


def _reserve_keys(connection: Connection, candidates: Sequence[Candidate]) -> set[str]:
    """Reserve the keys; returns the jobs whose key is taken, by now or by an earlier one of these.

    Waits for a concurrent transaction with the same key to commit or roll back. In key order
    everywhere, so that two groups can't wait for each other.
    """
    keyed = sorted((c for c in candidates if c.idempotency_key is not None), key=lambda c: c.key)
    if not keyed:
        return set()
    rows = [
        {
            "project_id": candidate.project_id,
            "key": candidate.idempotency_key,
            "body_sha256": candidate.body_sha256,
            "job_id": candidate.job_id,
        }
        for candidate in keyed
    ]
    statement = insert(IdempotencyKey).values(rows).on_conflict_do_nothing()
    reserved = set(connection.execute(statement.returning(IdempotencyKey.job_id)).scalars())
    return {candidate.job_id for candidate in keyed} - reserved


_lock = threading.Lock()
_group_commit: GroupCommit[Candidate, Moments | None] | None = None


def _writer() -> GroupCommit[Candidate, Moments | None]:
    """The process's writer; its thread starts with the first admission, so never before a fork."""
    global _group_commit
    with _lock:
        if _group_commit is None:
            _group_commit = GroupCommit(
                "admission", write_all=_write_all, write_one=_write_one, outage=DatabaseUnavailable
            )
        return _group_commit

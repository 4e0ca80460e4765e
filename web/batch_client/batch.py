"""A batch, as its client sees it."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Self

ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
INPUT_SHA256 = "tokenmill_input_sha256"
"""The metadata key under which a batch keeps what its input was: what a second run knows it by."""


@dataclass(frozen=True, slots=True)
class BatchFault:
    """Why a batch was refused, or one of its lines would be."""

    line: int | None
    param: str | None
    message: str

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        return cls(body.get("line"), body.get("param"), body.get("message") or "")

    def __str__(self) -> str:
        return self.message if self.line is None else f"line {self.line}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteBatch:
    """What the client goes by."""

    id: str
    status: str
    model: str | None
    created_at: int
    expires_at: int | None
    total: int
    completed: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    output_file_id: str | None
    error_file_id: str | None
    input_sha256: str | None
    retry_of: str | None
    faults: tuple[BatchFault, ...]

    @property
    def ended(self) -> bool:
        return self.status in ENDED

    @property
    def done(self) -> int:
        return self.completed + self.failed

    @classmethod
    def of(cls, body: dict[str, Any]) -> Self:
        counts, usage = body.get("request_counts") or {}, body.get("usage") or {}
        return cls(
            id=body["id"],
            status=body["status"],
            model=body.get("model"),
            created_at=body["created_at"],
            expires_at=body.get("expires_at"),
            total=counts.get("total", 0),
            completed=counts.get("completed", 0),
            failed=counts.get("failed", 0),
            input_tokens=usage.get("input_tokens", 0),
            output_tokens=usage.get("output_tokens", 0),
            cost_usd=Decimal(body.get("cost_usd") or 0),
            output_file_id=body.get("output_file_id"),
            error_file_id=body.get("error_file_id"),
            input_sha256=(body.get("metadata") or {}).get(INPUT_SHA256),
            retry_of=body.get("retry_of"),
            faults=tuple(map(BatchFault.of, (body.get("errors") or {}).get("data") or ())),
        )

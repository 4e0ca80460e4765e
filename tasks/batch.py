"""A batch as read from its row: frozen, complete, free of any session."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Literal


class BatchStatus(StrEnum):
    """``validating → failed | in_progress → finalizing → completed``; ``in_progress → failed | expired``;
    ``validating | in_progress → cancelling → cancelled``."""

    VALIDATING = "validating"
    FAILED = "failed"
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        return self in _ENDED


_ENDED = frozenset({BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRecord:
    """What an owner may know of a batch.

    ``total`` are its lines, ``failed`` those that failed or were not valid, ``last_position`` how many
    have an outcome. ``errors`` are ``{code, message, param, line}``. ``retry_of`` is the batch whose
    unanswered lines these are. The files exist from ``in_progress`` on, with or without a line in them.
    """

    id: str
    project_id: str
    endpoint: str
    model: str | None
    input_file_id: str
    retry_of: str | None
    completion_window: str
    metadata: dict[str, str]
    on_invalid_line: Literal["fail", "skip"]
    on_error: Literal["continue", "stop"]
    max_cost_usd: Decimal | None
    output_expires_after_seconds: int | None
    status: BatchStatus
    errors: list[dict[str, Any]] | None
    total: int
    completed: int
    failed: int
    unfinished: int
    last_position: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost_usd: Decimal
    output_file_id: str | None
    error_file_id: str | None
    created_at: datetime
    expires_at: datetime
    in_progress_at: datetime | None
    finalizing_at: datetime | None
    completed_at: datetime | None
    failed_at: datetime | None
    expired_at: datetime | None
    cancelling_at: datetime | None
    cancelled_at: datetime | None

    @property
    def has_error_lines(self) -> bool:
        """Whether a line ended otherwise than completed."""
        return self.last_position > self.completed

"""A job as read from its row: frozen, complete, free of any session."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from tasks.models import JobStatus
from tasks.plan import JobType


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """What an owner may know of a job. ``queue_position`` is counted from 1, only while queued."""

    id: str
    project_id: str
    type: JobType
    endpoint: str
    service_tier: str
    stored: bool
    conversation_id: str | None
    system_fingerprint: str | None
    model: str
    status: JobStatus
    metadata: dict[str, str]
    prompt_tokens: int
    max_tokens: int
    created_at: datetime
    expires_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    ended_at: datetime | None
    attempt: int
    output_text: str | None
    finish_reason: Literal["stop", "length"] | None
    billed_prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    cost_usd: Decimal | None
    error_code: str | None
    error_message: str | None
    queue_position: int | None = None

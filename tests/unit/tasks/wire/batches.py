"""Batches, made up."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tasks.batch import BatchRecord, BatchStatus

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
BATCH_ID = "batch_0199" + "b" * 28


def make_batch(**changes: Any) -> BatchRecord:
    """One of three lines that has completed two."""
    values: dict[str, Any] = {
        "id": BATCH_ID,
        "project_id": "proj_1",
        "endpoint": "/v1/chat/completions",
        "model": "smollm2-135m-instruct",
        "input_file_id": "file-1",
        "completion_window": "24h",
        "metadata": {"team": "search"},
        "on_invalid_line": "fail",
        "on_error": "continue",
        "status": BatchStatus.IN_PROGRESS,
        "total": 3,
        "completed": 2,
        "failed": 0,
        "unfinished": 1,
        "last_position": 2,
        "input_tokens": 20,
        "cached_tokens": 5,
        "output_tokens": 7,
        "cost_usd": Decimal("0.000010"),
        "output_file_id": "file-out",
        "error_file_id": "file-err",
        "created_at": MOMENT,
        "expires_at": MOMENT,
        "in_progress_at": MOMENT,
    }
    return BatchRecord(**{**dict.fromkeys(BatchRecord.__slots__), **values, **changes})

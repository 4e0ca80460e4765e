"""What a validated request for a batch asks for."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

from tasks.plan import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """A batch to be: pure data. ``completion_window`` is the client's text, in seconds beside it."""

    endpoint: Endpoint
    input_file_id: str
    completion_window: str = "24h"
    completion_window_seconds: int = 86_400
    metadata: dict[str, str] = field(default_factory=dict)
    on_invalid_line: Literal["fail", "skip"] = "fail"
    on_error: Literal["continue", "stop"] = "continue"
    max_cost_usd: Decimal | None = None
    output_expires_after_seconds: int | None = None

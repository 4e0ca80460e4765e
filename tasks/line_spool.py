"""The lines of a batch that is being validated, as the rows that they will be."""

from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from types import TracebackType
from typing import Any

from sqlalchemy import Connection

from tasks.admission import planned_values
from tasks.batch_lines import LineFault, PlannedLine
from tasks.ids import new_id
from tasks.plan import ServiceTier
from tasks.price_book import current_prices
from tasks.pricing import TokenPrices, hold_amount
from tasks.row_spool import RowSpool
from tasks.tracing.context import TraceContext, columns

# As long as the shortest piece that the cache of prefixes is worth much for.
_PREFIX_TOKENS = 32

_PLANNED = (
    *("endpoint", "type", "model", "service_tier", "rank", "stored", "conversation_id", "request"),
    *("metadata", "sampling", "prompt_token_ids", "prompt_lengths", "prompt_tokens", "max_tokens", "seed"),
)
_PRICES = ("price_input_usd", "price_cached_input_usd", "price_output_usd")
COPIED = (*_PLANNED, "line_number", "custom_id", "prefix_line")
"""What a line takes over from the line that it repeats."""
_COLUMNS = (
    *("id", "project_id", "api_key_id", "batch_id", "expires_at", "traceparent", "tracestate"),
    *COPIED,
    *_PRICES,
)


class LineSpool:
    """Jobs, their holds, and the lines left out. A context manager; memory does not grow with the file."""

    def __init__(
        self,
        batch_id: str,
        project_id: str,
        api_key_id: str | None,
        expires_at: datetime,
        trace: TraceContext | None = None,
    ) -> None:
        self._batch_id = batch_id
        self._of_all = {
            "project_id": project_id,
            "api_key_id": api_key_id,
            "batch_id": batch_id,
            "expires_at": expires_at,
            **columns(trace),
        }
        self._files = ExitStack()
        self._jobs = self._files.enter_context(RowSpool("jobs", _COLUMNS))
        self._holds = self._files.enter_context(RowSpool("holds", ("job_id", "project_id", "amount_usd")))
        self._invalid = self._files.enter_context(
            RowSpool(
                "batch_invalid_lines",
                ("batch_id", "line_number", "custom_id", "error", "output_position"),
            )
        )
        self._first_lines: dict[int, int] = {}
        self._prices: TokenPrices | None = None
        self.model: str | None = None
        self.hold_usd = Decimal(0)
        self.prompt_tokens = 0

    def __enter__(self) -> "LineSpool":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._files.close()

    @property
    def jobs(self) -> int:
        return self._jobs.rows

    @property
    def invalid(self) -> int:
        return self._invalid.rows

    def add(self, line: PlannedLine) -> None:
        plan = line.plan
        if self._prices is None:
            # One moment's prices for all lines.
            self._prices = current_prices(plan.spec, ServiceTier.BATCH)
        values = planned_values(plan) | {
            "line_number": line.number,
            "custom_id": line.custom_id,
            "prefix_line": self._first_line(plan.prompts[0], line.number),
        }
        self.add_values(values, plan.most_output_tokens, self._prices)

    def add_values(self, values: dict[str, Any], most_output_tokens: int, prices: TokenPrices) -> None:
        """A line by what it is in its row."""
        job_id = new_id("job")
        self.model = values["model"]
        self._jobs.add(
            self._of_all
            | values
            | {
                "id": job_id,
                "price_input_usd": prices.input_usd,
                "price_cached_input_usd": prices.cached_input_usd,
                "price_output_usd": prices.output_usd,
            }
        )
        amount_usd = hold_amount(prices, prompt_tokens=values["prompt_tokens"], max_tokens=most_output_tokens)
        self._holds.add(
            {"job_id": job_id, "project_id": self._of_all["project_id"], "amount_usd": amount_usd}
        )
        self.hold_usd += amount_usd
        self.prompt_tokens += values["prompt_tokens"]

    def leave_out(self, fault: LineFault) -> None:
        """A line that is answered with its fault."""
        self._invalid.add(
            {
                "batch_id": self._batch_id,
                "line_number": fault.number,
                "custom_id": fault.custom_id,
                "error": fault.to_json(),
                "output_position": self.invalid + 1,
            }
        )

    def copy_into(self, connection: Connection) -> None:
        """Insert everything, in the caller's transaction. Raises DatabaseUnavailable."""
        for rows in (self._jobs, self._holds, self._invalid):
            rows.copy_into(connection)

    def _first_line(self, prompt: Sequence[int], number: int) -> int:
        """The first line whose prompt begins alike, so that an order by it keeps such lines together."""
        return self._first_lines.setdefault(hash(tuple(prompt[:_PREFIX_TOKENS])), number)

"""What a batch would take, without creating anything."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from inference.catalog import ModelSpec
from tasks import batches, file_content, ledger, price_book, throughput
from tasks.batch_lines import LineFault, LineReader, PlannedLine
from tasks.batch_plan import BatchPlan
from tasks.ledger import Payer
from tasks.plan import ServiceTier
from tasks.pricing import hold_amount, price
from tasks.principal import Principal
from tasks.throughput import Throughput

MOST_ERRORS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEstimate:
    """Counts and prices are of the valid lines; ``errors`` are the first of the faults."""

    plan: BatchPlan
    model: str | None
    lines: int
    invalid: int
    errors: list[dict[str, Any]]
    input_tokens: int
    max_output_tokens: int
    least_usd: Decimal
    most_usd: Decimal
    available_usd: Decimal | None
    finish_at: datetime | None

    @property
    def within_budget(self) -> bool:
        return self.available_usd is None or self.most_usd <= self.available_usd

    @property
    def within_window(self) -> bool | None:
        if self.finish_at is None:
            return None
        return self.finish_at <= datetime.now(UTC) + timedelta(seconds=self.plan.completion_window_seconds)


def estimate(principal: Principal, plan: BatchPlan) -> BatchEstimate:
    """Validate a file as its batch would, and count. Takes as long as that.

    Raises:
        FileNotFound: also for another project's file.
        InvalidRequest: the file is not for batches.
    """
    project_id = principal.project_id
    file = batches.input_file(project_id, plan.input_file_id)
    count = _Count()
    for line in LineReader(plan.endpoint, project_id, principal.models).read(file_content.open_content(file)):
        count.add(line)
    measured = None if count.spec is None else throughput.measure(count.spec.name)
    least_usd, most_usd = _prices(count)
    return BatchEstimate(
        plan=plan,
        model=None if count.spec is None else count.spec.name,
        lines=count.lines,
        invalid=count.invalid,
        errors=count.errors,
        input_tokens=count.input_tokens,
        max_output_tokens=count.max_output_tokens,
        least_usd=least_usd,
        most_usd=most_usd,
        available_usd=ledger.available(Payer(principal.project_id, principal.api_key_id)),
        finish_at=None if measured is None else _finish_at(measured, count),
    )


@dataclass(slots=True)
class _Count:
    """What the lines come to."""

    spec: ModelSpec | None = None
    lines: int = 0
    invalid: int = 0
    input_tokens: int = 0
    max_output_tokens: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def add(self, line: PlannedLine | LineFault) -> None:
        self.lines += 1
        if isinstance(line, LineFault):
            self.invalid += 1
            if len(self.errors) < MOST_ERRORS:
                self.errors.append(line.to_json())
            return
        self.spec = line.plan.spec
        self.input_tokens += line.plan.prompt_tokens
        self.max_output_tokens += line.plan.most_output_tokens


def _prices(count: _Count) -> tuple[Decimal, Decimal]:
    """All cached and no output; none cached and all output."""
    if count.spec is None:
        return Decimal(0), Decimal(0)
    prices = price_book.current_prices(count.spec, ServiceTier.BATCH)
    tokens = count.input_tokens
    least_usd = price(prices, prompt_tokens=tokens, cached_tokens=tokens, completion_tokens=0)
    return least_usd, hold_amount(prices, prompt_tokens=tokens, max_tokens=count.max_output_tokens)


def _finish_at(measured: Throughput, count: _Count) -> datetime:
    return datetime.now(UTC) + timedelta(
        seconds=measured.seconds_for(count.input_tokens, count.max_output_tokens)
    )

"""An estimate in words."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from web.batch_client.batch import BatchFault

_MOST_FAULTS_SHOWN = 20


def estimate_lines(estimate: dict[str, Any]) -> Iterator[str]:
    """A line for each thing worth knowing before a batch is started."""
    counts, cost = estimate["request_counts"], estimate["cost_usd"]
    yield f"lines     {counts['total']:,}, of them {counts['invalid']:,} invalid"
    yield f"input     {estimate['input_tokens']:,} tokens"
    yield f"output    at most {estimate['max_output_tokens']:,} tokens"
    yield f"price     ${cost['min']} to ${cost['max']}"
    yield f"finished  {_finish(estimate)}"
    yield f"budget    {_budget(estimate)}"
    faults = [BatchFault.of(body) for body in estimate["errors"]["data"]]
    yield from (f"  {fault}" for fault in faults[:_MOST_FAULTS_SHOWN])
    if len(faults) > _MOST_FAULTS_SHOWN:
        yield f"  … and {len(faults) - _MOST_FAULTS_SHOWN} more"


def _finish(estimate: dict[str, Any]) -> str:
    moment = estimate["expected_finish_at"]
    if moment is None:
        return "nothing has been measured yet to tell when"
    late = "" if estimate["within_window"] else ", past the completion window"
    return f"about {datetime.fromtimestamp(moment).astimezone():%Y-%m-%d %H:%M:%S %Z}{late}"


def _budget(estimate: dict[str, Any]) -> str:
    available = estimate["available_usd"]
    left = "no limit" if available is None else f"${available} available"
    return f"{left}, enough" if estimate["within_budget"] else f"{left}, not enough"

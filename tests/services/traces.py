"""The steps that processes of the platform wrote to their file of traces."""

import json
from pathlib import Path
from typing import Any

Step = dict[str, Any]


def read_steps(file: Path) -> list[Step]:
    """Every step that is over, in the order in which they came."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def trace_id(step: Step) -> str:
    """32 hexadecimal digits, as in a `traceparent`."""
    return str(step["context"]["trace_id"]).removeprefix("0x")


def span_id(step: Step) -> str:
    return str(step["context"]["span_id"]).removeprefix("0x")


def parent_id(step: Step) -> str | None:
    above = step["parent_id"]
    return None if above is None else str(above).removeprefix("0x")


def service(step: Step) -> str:
    return str(step["resource"]["attributes"]["service.name"])


def by_name(steps: list[Step], of_trace: str) -> dict[str, Step]:
    """The steps of a trace that has no two of one name."""
    found = [step for step in steps if trace_id(step) == of_trace]
    names = {step["name"]: step for step in found}
    assert len(names) == len(found), sorted(step["name"] for step in found)
    return names

"""What the platform's own logs call an error: not a breach by itself, but worth a look."""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_LEVELS = frozenset({"error", "critical"})


def errors(logs: Iterable[Path]) -> Counter[str]:
    """How often each action failed, with the last line of what was raised."""
    found: Counter[str] = Counter()
    for log in logs:
        for line in log.read_text(errors="replace").splitlines():
            if line.startswith("Traceback"):
                found["a traceback outside the log"] += 1
                continue
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            if isinstance(entry, dict) and entry.get("level") in _LEVELS:
                raised = str(entry.get("exception") or entry.get("errors") or entry.get("error") or "")
                found[
                    f"{entry.get('action')}: {raised.strip().splitlines()[-1][:200] if raised else ''}"
                ] += 1
    return found

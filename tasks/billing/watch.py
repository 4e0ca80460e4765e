"""Watching the books while the platform runs: what can be wrong is wrong within minutes of being written."""

import threading
from datetime import UTC, datetime, timedelta
from time import monotonic

import structlog

from tasks.billing.period import Period
from tasks.billing.verify import verify
from tasks.metrics import ledger

_EVERY_SECONDS = 300.0
# Of large books it is to take a tenth of the time at most.
_PAUSE_PER_SECOND = 9

log = structlog.get_logger(__name__)

_lock = threading.Lock()
_due_at = 0.0


def check_if_due() -> bool:
    """Verify yesterday and today (UTC), and how the counters stand; whether it was time to.

    Bodies are left to `tokenmill billing verify`. Raises DatabaseUnavailable.
    """
    global _due_at
    with _lock:
        started = monotonic()
        if started < _due_at:
            return False
        found = verify(_lately(), read_bodies=False, patient=True)
        took = monotonic() - started
        _due_at = monotonic() + max(_EVERY_SECONDS, took * _PAUSE_PER_SECOND)
    ledger.note_checked(conserved=found.right)
    if found.difference is not None:
        log.error("the books are wrong", action="ledger_wrong", difference=str(found.difference))
    return True


def _lately() -> Period:
    """Whole days, as usage is counted; up to a moment that the database's clock has not reached either."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return Period(today - timedelta(days=1), today + timedelta(days=2))

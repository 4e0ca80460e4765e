"""Circuits: what has just failed is left alone for a while, not waited for by everybody again."""

import threading
from collections.abc import Callable, Mapping
from time import monotonic

import structlog

from tasks.backoff import Backoff

_MOST_CIRCUITS = 1024

log = structlog.get_logger(__name__)


class Circuit:
    """The way to one target.

    Closed, everybody may try. After so many ``failures`` in a row it opens: nobody tries for a pause, then
    one at a time after pauses that grow, until one of them succeeds. Whoever was let through says how it
    went; who is never heard of again is taken for a failure when the pause is over.
    """

    def __init__(
        self,
        target: str,
        *,
        failures: int = 1,
        first_seconds: float = 0.5,
        most_seconds: float = 8.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.target = target
        self._most_failures = failures
        self._first_seconds = first_seconds
        self._most_seconds = most_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._probing = False
        self._try_at: float | None = None
        self._pause_seconds = 0.0
        self._pauses = Backoff(first_seconds, most_seconds)

    @property
    def is_open(self) -> bool:
        return self._try_at is not None

    def allows(self) -> bool:
        """Whether the caller may try now."""
        if not self.is_open:
            return True
        with self._lock:
            if self._try_at is None:
                return True
            if self._clock() < self._try_at:
                return False
            self._probing = True
            self._try_at = self._clock() + self._pause_seconds
            return True

    def succeeded(self) -> None:
        """What was tried has worked."""
        if self._try_at is None and not self._failures:
            return
        with self._lock:
            was_open = self._try_at is not None
            self._failures, self._probing, self._try_at = 0, False, None
            self._pauses = Backoff(self._first_seconds, self._most_seconds)
        if was_open:
            log.info("circuit closed", action="circuit_closed", target=self.target)

    def failed(self) -> None:
        """What was tried has not worked."""
        with self._lock:
            if self._try_at is not None and not self._probing:
                # Begun before it opened: a crowd that fails together makes the pause no longer.
                return
            self._failures += 1
            if self._failures < self._most_failures:
                return
            self._probing = False
            self._pause_seconds = self._pauses.next_seconds()
            self._try_at = self._clock() + self._pause_seconds
        log.warning(
            "circuit open", action="circuit_open", target=self.target, seconds=round(self._pause_seconds, 1)
        )


_circuits: dict[tuple[str, str], Circuit] = {}
_lock = threading.Lock()


def circuit_of(
    target: str, name: str = "", *, failures: int = 1, first_seconds: float = 0.5, most_seconds: float = 8.0
) -> Circuit:
    """The process's circuit of a target, or of one that goes by this name among several."""
    found = _circuits.get((target, name))
    if found is None:
        made = Circuit(target, failures=failures, first_seconds=first_seconds, most_seconds=most_seconds)
        with _lock:
            _make_room()
            found = _circuits.setdefault((target, name), made)
    return found


def states() -> Mapping[str, bool]:
    """The targets that this process has tried so far, and whether the way to any of them is open."""
    found: dict[str, bool] = {}
    with _lock:
        for (target, _), circuit in _circuits.items():
            found[target] = found.get(target, False) or circuit.is_open
    return found


def forget() -> None:
    """As if the process had tried nothing yet."""
    with _lock:
        _circuits.clear()


def _make_room() -> None:
    """Hosts are named by others, so there is no end of them; a closed circuit knows nothing worth keeping."""
    if len(_circuits) >= _MOST_CIRCUITS:
        for key in [key for key, circuit in _circuits.items() if not circuit.is_open]:
            del _circuits[key]

"""Counters of limits in this process's memory: for one web process, or while Redis is away."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tasks.limit import Charge, Count, exceeds

_SWEEP_EVERY_SECONDS = 30.0


@dataclass(slots=True)
class _Window:
    used: int
    ends: float


@dataclass(frozen=True, slots=True)
class _Receipt:
    """What a job has taken, by counter and the end of the window it was taken from."""

    taken: tuple[tuple[str, float, int], ...]
    ends: float


class MemoryCounters:
    """The twin of :class:`tasks.redis_counters.RedisCounters`."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._receipts: dict[str, _Receipt] = {}
        self._sweep_at = 0.0
        self._lock = threading.Lock()

    def take(self, charges: Sequence[Charge], job_id: str | None = None) -> tuple[bool, list[Count]]:
        """Count all charges or, where one has no room, none; whether they were, and the counters then.

        What is taken in tokens is noted for the job, to be settled with what it really used.
        """
        with self._lock:
            now = self._clock()
            self._sweep(now)
            windows = [self._window(charge, now) for charge in charges]
            fits = not any(
                exceeds(charge, window.used) for charge, window in zip(charges, windows, strict=True)
            )
            if fits:
                for charge, window in zip(charges, windows, strict=True):
                    window.used += charge.cost
                if job_id is not None:
                    self._note(job_id, charges, windows)
            return fits, [Count(window.used, window.ends - now) for window in windows]

    def settle(self, used_tokens: Mapping[str, int]) -> None:
        """Give back what jobs took and did not use, where its window still lasts. Once for each job."""
        with self._lock:
            for job_id, used in used_tokens.items():
                receipt = self._receipts.pop(job_id, None)
                for counter, ends, taken in () if receipt is None else receipt.taken:
                    window = self._windows.get(counter)
                    if window is not None and window.ends == ends:
                        window.used = max(0, window.used - max(0, taken - used))

    def _window(self, charge: Charge, now: float) -> _Window:
        counter = charge.limit.counter
        window = self._windows.get(counter)
        if window is None or window.ends <= now:
            window = _Window(0, now + charge.limit.seconds)
            if charge.cost > 0:
                self._windows[counter] = window
        return window

    def _note(self, job_id: str, charges: Sequence[Charge], windows: Sequence[_Window]) -> None:
        taken = tuple(
            (charge.limit.counter, window.ends, charge.cost)
            for charge, window in zip(charges, windows, strict=True)
            if charge.limit.unit == "tokens" and charge.cost > 0
        )
        if taken:
            self._receipts[job_id] = _Receipt(taken, max(ends for _, ends, _ in taken))

    def _sweep(self, now: float) -> None:
        if now < self._sweep_at:
            return
        self._sweep_at = now + _SWEEP_EVERY_SECONDS
        self._windows = {name: window for name, window in self._windows.items() if window.ends > now}
        self._receipts = {job_id: kept for job_id, kept in self._receipts.items() if kept.ends > now}

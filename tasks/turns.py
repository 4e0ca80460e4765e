"""Waking many threads without a stampede.

A batch of tokens has news for hundreds of streams, each read by a thread of its own. Were all woken at
once, they would spend longer on fighting for the interpreter than on their work. So they are woken a few at
a time, each by one that is done.
"""

import threading
from collections import deque


class Turns:
    """So many threads at a time have a turn; the others wait for theirs in the order of their news."""

    def __init__(self, at_once: int) -> None:
        self._lock = threading.Lock()
        self._free = at_once
        self._queue: deque[Bell] = deque()

    def bell(self) -> "Bell":
        """A bell for one thread."""
        return Bell(self)

    def ask(self, bell: "Bell") -> None:
        with self._lock:
            bell.rung = True
            if bell.waiting:
                bell.waiting = False
                self._queue.append(bell)
                self._grant()

    def give_back(self, bell: "Bell") -> None:
        """The bell's thread has done its work; it waits again from now on."""
        with self._lock:
            self._free += 1
            if bell.rung:
                self._queue.append(bell)
            else:
                bell.waiting = True
            self._grant()

    def leave(self, bell: "Bell") -> None:
        with self._lock:
            bell.closed = True

    def _grant(self) -> None:
        while self._free and self._queue:
            bell = self._queue.popleft()
            if bell.closed:
                continue
            self._free -= 1
            bell.rung = False
            bell.grant()


class Bell:
    """Rung by anyone, answered by the one thread that waits for it. Made by :class:`Turns`.

    A ring is never lost: one that comes while the thread has its turn gets it another.
    """

    def __init__(self, turns: Turns) -> None:
        # These three belong to the turns' lock.
        self.rung = False
        self.waiting = True
        self.closed = False
        self._turns = turns
        self._granted = threading.Lock()
        self._granted.acquire()
        self._has_turn = False

    def ring(self) -> None:
        if not self.rung:
            self._turns.ask(self)

    def wait(self, timeout_seconds: float) -> bool:
        """Whether it was this thread's turn in time; it keeps the turn until ``done``."""
        self.done()
        self._has_turn = self._granted.acquire(timeout=timeout_seconds)
        return self._has_turn

    def done(self) -> None:
        """To be called as soon as the news is dealt with, and before anything that may take long."""
        if self._has_turn:
            self._has_turn = False
            self._turns.give_back(self)

    def close(self) -> None:
        """The thread waits no more."""
        self._turns.leave(self)
        # Granted, but never taken.
        self._has_turn = self._has_turn or self._granted.acquire(blocking=False)
        self.done()

    def grant(self) -> None:
        self._granted.release()

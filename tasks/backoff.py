"""Growing, jittered pauses between tries."""

import random
import time


class Backoff:
    """Pauses of 0.1 s doubling to 5 s, each cut by up to half at random so that many don't march in step."""

    def __init__(self, first_seconds: float = 0.1, most_seconds: float = 5.0) -> None:
        self._next_seconds = first_seconds
        self._most_seconds = most_seconds

    def next_seconds(self) -> float:
        pause_seconds = self._next_seconds * random.uniform(0.5, 1.0)
        self._next_seconds = min(self._next_seconds * 2, self._most_seconds)
        return pause_seconds

    def sleep(self) -> None:
        time.sleep(self.next_seconds())

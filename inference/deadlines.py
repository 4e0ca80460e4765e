"""When requests in flight expire."""

import heapq

from inference.sequence import Sequence

SPARE = 64


class Deadlines:
    """Sequences by deadline, in ``time.monotonic()`` seconds; those that have ended are forgotten."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, tuple[int, int], Sequence]] = []
        self._compact_at = SPARE

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, sequence: Sequence) -> None:
        """Watch ``sequence``; one without a deadline is none of our business."""
        deadline = sequence.request.deadline_seconds
        if deadline is None:
            return
        heapq.heappush(self._heap, (deadline, sequence.rank, sequence))
        # A deadline may be a day away: without this, whatever ended before it would be kept that long.
        if len(self._heap) > self._compact_at:
            self._heap = [entry for entry in self._heap if entry[2].outcome is None]
            heapq.heapify(self._heap)
            self._compact_at = 2 * len(self._heap) + SPARE

    def pop_expired(self, now: float) -> list[Sequence]:
        """Those in flight whose deadline is ``now`` or was before."""
        expired = []
        while self._heap and self._heap[0][0] <= now:
            sequence = heapq.heappop(self._heap)[2]
            if sequence.outcome is None:
                expired.append(sequence)
        return expired

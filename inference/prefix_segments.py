"""The segments in the arena: those in use, and those kept in case their tokens come again."""

from typing import Protocol

from inference.arena import Arena, Lease, lease_capacity
from inference.prefix_tree import BLOCK_TOKENS, PrefixTree, Segment

MOVE_UP_TO = 512
"""Tokens. A segment that nobody uses any more is moved out of the way when it is no longer than that."""


class TokenStore(Protocol):
    """The memory behind an arena."""

    def copy(self, source: int, target: int, tokens: int) -> None:
        """Copy ``tokens`` from one place in the arena to another."""

    def scrub(self, lease: Lease) -> None:
        """Overwrite whatever a lease holds."""

    def is_sound(self, start: int, tokens: int) -> bool:
        """Whether everything there is a finite number."""


class SegmentPool:
    """Makes and frees segments.

    One that nobody uses is kept while all of those are no more than ``retained_limit`` tokens, and
    until its space is needed; the least recently used goes first. Short ones are moved to the end of
    the arena: that leaves the leases of running sequences side by side at its start, where one
    call attends them all. (Between long ones a call more costs nothing that shows.)
    """

    def __init__(self, arena: Arena, store: TokenStore, tree: PrefixTree, retained_limit: int) -> None:
        self.evictions = 0
        self.retained_tokens = 0
        self._arena = arena
        self._store = store
        self._tree = tree
        self._retained_limit = retained_limit
        self._idle: dict[Segment, None] = {}
        self._clock = 0
        self._closed = False

    @property
    def live_tokens(self) -> int:
        """Tokens in leases that somebody uses."""
        return self._arena.leased - self.retained_tokens

    def allocate(self, tokens: int, *, at_end: bool = False) -> Lease | None:
        """A lease for ``tokens``, by evicting what nobody uses if need be; None when that is not enough."""
        lease = self._arena.allocate(tokens, at_end=at_end)
        if lease is None and self._make_room(lease_capacity(tokens)):
            lease = self._arena.allocate(tokens, at_end=at_end)
        return lease

    def free(self, lease: Lease) -> None:
        self._arena.release(lease)

    def pin(self, segment: Segment) -> None:
        """One user more: while there is one the segment stays where it is."""
        if segment in self._idle:
            del self._idle[segment]
            self.retained_tokens -= segment.lease.capacity
        segment.users += 1

    def unpin(self, segment: Segment) -> None:
        """One user less. The last one leaves it to be found again, or, where that is no use, frees it."""
        segment.users -= 1
        if segment.users > 0:
            return
        if self._closed:
            self._free(segment)
        elif not segment.sound:
            self._store.scrub(segment.lease)
            self._free(segment)
        elif not segment.nodes:
            self._free(segment)
        else:
            self._retain(segment)

    def relocate(self, segment: Segment, lease: Lease) -> None:
        """Move what a segment holds to ``lease`` and free the one it had."""
        self._store.copy(segment.lease.start, lease.start, segment.held)
        self._arena.release(segment.lease)
        segment.lease = lease

    def condemn(self, segment: Segment) -> None:
        """Its writer failed: nobody is to find it any more, and nothing of it is to stay."""
        segment.sound = False
        self._tree.forget(segment)
        if segment in self._idle:
            self._evict(segment)

    def evict_idle(self) -> None:
        """Free all that nobody uses."""
        for segment in list(self._idle):
            self._evict(segment)

    def close(self) -> None:
        """Touch the memory no more: from now on what nobody uses is freed as it is."""
        self._closed = True

    def _retain(self, segment: Segment) -> None:
        if not segment.settled:
            self._settle(segment)
        self._clock += 1
        segment.last_used = self._clock
        self._idle[segment] = None
        self.retained_tokens += segment.lease.capacity
        while self.retained_tokens > self._retained_limit:
            self._evict(next(iter(self._idle)))

    def _settle(self, segment: Segment) -> None:
        """Leave out what others hold too, and move to the end if that is worth it."""
        segment.settled = True
        offset = (min(node.depth for node in segment.nodes) - 1) * BLOCK_TOKENS
        if segment.end - offset > min(MOVE_UP_TO, self._retained_limit):
            return
        lease = self.allocate(segment.end - offset, at_end=True)
        if lease is None:
            return
        self._store.copy(segment.place_of(offset), lease.start, segment.end - offset)
        self._arena.release(segment.lease)
        segment.lease, segment.offset = lease, offset

    def _evict(self, segment: Segment) -> None:
        del self._idle[segment]
        self.retained_tokens -= segment.lease.capacity
        self.evictions += 1
        self._tree.forget(segment)
        self._free(segment)

    def _free(self, segment: Segment) -> None:
        self._tree.forget(segment)
        self._arena.release(segment.lease)

    def _make_room(self, capacity: int) -> bool:
        """Evict all that is in the way of one lease, where what was used last was used longest ago."""
        unused: dict[int, int] = {}
        last_used: dict[int, int] = {}
        victims: dict[int, list[Segment]] = {}
        for block in self._arena.free_blocks():
            window = block.start // capacity
            unused[window] = unused.get(window, 0) + block.capacity
        for segment in self._idle:
            window = segment.lease.start // capacity
            unused[window] = unused.get(window, 0) + segment.lease.capacity
            last_used[window] = max(last_used.get(window, 0), segment.last_used)
            victims.setdefault(window, []).append(segment)
        windows = [window for window in victims if unused[window] >= capacity]
        if not windows:
            return False
        for segment in victims[min(windows, key=lambda window: last_used[window])]:
            self._evict(segment)
        return True

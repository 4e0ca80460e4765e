"""Who owns which tokens of the key-value arena: a buddy allocator, pure bookkeeping."""

from bisect import insort
from dataclasses import dataclass

SMALLEST_LEASE = 128


@dataclass(frozen=True, slots=True, order=True)
class Lease:
    """Arena tokens ``start:start + capacity``; capacity is a power of two that divides start.

    That makes leases of one size lie side by side like the rows of a matrix.
    """

    capacity: int
    start: int


class Arena:
    """``blocks`` times ``largest`` tokens to lease; ``largest`` is a power of two."""

    def __init__(self, largest: int, blocks: int) -> None:
        self.largest = largest
        self.capacity = largest * blocks
        self.leased = 0
        self._free: dict[int, list[int]] = {largest: [block * largest for block in range(blocks)]}

    def allocate(self, tokens: int) -> Lease | None:
        """The lowest lease that holds ``tokens``; None while there is none, or never one so large."""
        capacity = lease_capacity(tokens)
        size = next((size for size in self._sizes_from(capacity) if self._free.get(size)), None)
        if size is None:
            return None
        start = self._free[size].pop(0)
        while size > capacity:
            size //= 2
            insort(self._free.setdefault(size, []), start + size)
        self.leased += capacity
        return Lease(capacity, start)

    def release(self, lease: Lease) -> None:
        start, size = lease.start, lease.capacity
        self.leased -= size
        while size < self.largest and start ^ size in self._free.get(size, ()):
            self._free[size].remove(start ^ size)
            start &= ~size
            size *= 2
        insort(self._free.setdefault(size, []), start)

    def _sizes_from(self, capacity: int) -> list[int]:
        sizes = []
        while capacity <= self.largest:
            sizes.append(capacity)
            capacity *= 2
        return sizes


def lease_capacity(tokens: int) -> int:
    """The size of the lease that holds ``tokens``: the next power of two, and not tiny."""
    return max(SMALLEST_LEASE, 1 << (tokens - 1).bit_length())

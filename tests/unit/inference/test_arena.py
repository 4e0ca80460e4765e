"""Leases of the key-value arena."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inference.arena import SMALLEST_LEASE, Arena, Lease

LARGEST = 1024


@given(st.lists(st.tuples(st.booleans(), st.integers(1, LARGEST)), max_size=60))
def test_leases_never_overlap_and_all_space_comes_back(actions: list[tuple[bool, int]]) -> None:
    arena = Arena(LARGEST, blocks=4)
    held: list[Lease] = []
    for takes, size in actions:
        if takes or not held:
            lease = arena.allocate(size)
            if lease is not None:
                assert lease.capacity >= size
                assert lease.start % lease.capacity == 0
                held.append(lease)
        else:
            arena.release(held.pop(size % len(held)))
        owned = sorted((lease.start, lease.start + lease.capacity) for lease in held)
        assert all(first[1] <= second[0] for first, second in pairwise(owned))
        assert arena.leased == sum(lease.capacity for lease in held) <= arena.capacity
    for lease in held:
        arena.release(lease)
    assert all(arena.allocate(LARGEST) for _ in range(4))


def test_small_leases_lie_side_by_side() -> None:
    arena = Arena(LARGEST, blocks=1)
    leases = [arena.allocate(10) for _ in range(3)]
    assert [lease.start for lease in leases if lease] == [0, SMALLEST_LEASE, 2 * SMALLEST_LEASE]


def test_a_full_arena_has_no_lease() -> None:
    arena = Arena(LARGEST, blocks=1)
    assert arena.allocate(LARGEST)
    assert arena.allocate(1) is None


def test_more_than_the_largest_lease_is_never_to_be_had() -> None:
    assert Arena(LARGEST, blocks=4).allocate(LARGEST + 1) is None

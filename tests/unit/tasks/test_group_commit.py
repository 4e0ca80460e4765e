import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.group_commit import GroupCommit


class Outage(Exception):
    """Nothing can be written."""


class Ledger:
    """Notes what was written together; the first group is held up until the others have queued."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.gate = threading.Event()
        self.away = False

    def write_all(self, numbers: Sequence[int]) -> list[int]:
        if self.away:
            raise Outage
        if any(number < 0 for number in numbers):
            raise ValueError("negative")
        self.groups.append(list(numbers))
        return [number * 10 for number in numbers]

    def write_one(self, number: int) -> int:
        self.gate.wait(5)
        return self.write_all([number])[0]


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def write_concurrently(ledger: Ledger, numbers: Sequence[int]) -> list[int | Exception]:
    ledger.gate.clear()
    commit = GroupCommit("test", write_all=ledger.write_all, write_one=ledger.write_one, outage=Outage)
    with ThreadPoolExecutor(len(numbers)) as threads:
        first = threads.submit(commit.write, numbers[0])
        while commit._waiting.qsize():
            threading.Event().wait(0.001)
        rest = [threads.submit(commit.write, number) for number in numbers[1:]]
        while commit._waiting.qsize() < len(rest):
            threading.Event().wait(0.001)
        ledger.gate.set()
        return [future.exception(5) or future.result() for future in [first, *rest]]  # type: ignore[misc]


def test_what_waits_is_written_together_and_each_gets_its_own_result(ledger: Ledger) -> None:
    assert write_concurrently(ledger, [1, 2, 3, 4]) == [10, 20, 30, 40]
    assert [len(group) for group in ledger.groups] == [1, 3]


def test_wrong_item_fails_alone(ledger: Ledger) -> None:
    results = write_concurrently(ledger, [1, 2, -3, 4])
    assert results[:2] == [10, 20]
    assert isinstance(results[2], ValueError)
    assert results[3] == 40


def test_outage_fails_all_that_wait_and_the_next_may_succeed(ledger: Ledger) -> None:
    ledger.away = True
    assert all(isinstance(result, Outage) for result in write_concurrently(ledger, [1, 2, 3]))
    ledger.away = False
    assert write_concurrently(ledger, [5, 6]) == [50, 60]

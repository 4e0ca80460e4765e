"""Many threads' small writes in one transaction.

A commit costs a disk flush however little it writes, and a row that all of them touch, such as a
project's spend, is locked until its flush is done. Together they cost one flush.
"""

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_Waiting = tuple[Item, Future[Result]]


class GroupCommit(Generic[Item, Result]):
    """Collects what comes while the last group is being written, and writes it as the next.

    ``write_all`` writes a group in one transaction and returns a result for each, in order. Where it
    raises anything but ``outage``, each is written alone with ``write_one``, so that one wrong item
    fails alone.
    """

    def __init__(
        self,
        name: str,
        *,
        write_all: Callable[[Sequence[Item]], Sequence[Result]],
        write_one: Callable[[Item], Result],
        outage: type[Exception],
        most: int = 64,
    ) -> None:
        self._write_all = write_all
        self._write_one = write_one
        self._outage = outage
        self._most = most
        self._waiting: queue.SimpleQueue[_Waiting[Item, Result]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"tokenmill-{name}", daemon=True)
        self._thread.start()

    def write(self, item: Item) -> Result:
        """Returns once the item is committed; raises what its write raised."""
        future: Future[Result] = Future()
        self._waiting.put((item, future))
        return future.result()

    def _run(self) -> None:
        while True:
            group = [self._waiting.get(), *islice(self._ready(), self._most - 1)]
            if len(group) == 1:
                self._alone(*group[0])
            else:
                self._together(group)

    def _ready(self) -> Iterator[_Waiting[Item, Result]]:
        while True:
            try:
                yield self._waiting.get_nowait()
            except queue.Empty:
                return

    def _together(self, group: Sequence[_Waiting[Item, Result]]) -> None:
        try:
            results = self._write_all([item for item, _ in group])
        except self._outage as error:
            for _, future in group:
                future.set_exception(error)
        except Exception:
            for item, future in group:
                self._alone(item, future)
        else:
            for (_, future), result in zip(group, results, strict=True):
                future.set_result(result)

    def _alone(self, item: Item, future: Future[Result]) -> None:
        try:
            future.set_result(self._write_one(item))
        except Exception as error:
            future.set_exception(error)

"""Time cut into buckets: whole minutes, hours or days in UTC, a page at a time.

In Unix seconds throughout: days in UTC are all of one length.
"""

import time
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from tasks.errors import InvalidRequest

Width = Literal["1m", "1h", "1d"]

_SECONDS: dict[Width, int] = {"1m": 60, "1h": 3600, "1d": 86_400}
_CURSOR = "page_"

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Bucket(Generic[Result]):
    """A stretch of time and what was in it, perhaps nothing."""

    start: int
    end: int
    results: list[Result]


@dataclass(frozen=True, slots=True)
class BucketPage(Generic[Result]):
    """``next_page`` is where the next page begins; None on the last one."""

    buckets: list[Bucket[Result]]
    next_page: str | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """The buckets of one page, without what is in them."""

    width: Width
    start: int
    end: int
    more: bool

    @property
    def seconds(self) -> int:
        """How long a bucket is."""
        return _SECONDS[self.width]

    def fill(self, results: dict[int, list[Result]]) -> BucketPage[Result]:
        """The page with its results, by the starts of their buckets."""
        buckets = [
            Bucket(start, start + self.seconds, results.get(start, []))
            for start in range(self.start, self.end, self.seconds)
        ]
        return BucketPage(buckets, f"{_CURSOR}{self.end}" if self.more else None)


def stretch(width: Width, start_time: int, end_time: int | None, limit: int, page: str | None) -> Stretch:
    """The page of all buckets that ``start_time`` up to ``end_time``, or now, reaches into.

    Raises InvalidRequest.
    """
    seconds = _SECONDS[width]
    start = start_time // seconds * seconds
    if end_time is not None and end_time <= start_time:
        raise InvalidRequest("end_time must be later than start_time.", param="end_time")
    until = int(time.time()) + 1 if end_time is None else end_time
    if until <= start_time:
        raise InvalidRequest("start_time lies in the future; say an end_time.", param="start_time")
    end = -(-until // seconds) * seconds
    if page is not None:
        start = _place(page, start, end, seconds)
    last = min(end, start + limit * seconds)
    return Stretch(width, start, last, more=last < end)


def _place(page: str, start: int, end: int, seconds: int) -> int:
    digits = page.removeprefix(_CURSOR)
    if digits != page and digits.isascii() and digits.isdecimal() and len(digits) < 16:
        place = int(digits)
        if start <= place < end and place % seconds == 0:
            return place
    raise InvalidRequest("page is not the next_page of an answer to this query.", param="page")

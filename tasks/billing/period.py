"""The time that a bill is about."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self

from tasks.errors import InvalidRequest
from tasks.months import next_month, start_of, this_month

_MONTH = re.compile(r"(?P<year>[0-9]{4})-(?P<month>0[1-9]|1[0-2])")
_FIRST_YEAR = 2000


@dataclass(frozen=True, slots=True)
class Period:
    """From a moment up to another, which is not in it."""

    start: datetime
    end: datetime

    @classmethod
    def of_month(cls, month: date) -> Self:
        return cls(start_of(month), start_of(next_month(month)))

    @classmethod
    def parse_month(cls, text: str | None) -> Self:
        """``2026-11``; None is the present month. Raises InvalidRequest."""
        if text is None:
            return cls.of_month(this_month())
        found = _MONTH.fullmatch(text)
        if found is None or not _FIRST_YEAR <= int(found["year"]) < datetime.max.year:
            raise InvalidRequest(f"{text!r} is not a month such as 2026-11.", param="month")
        return cls.of_month(date(int(found["year"]), int(found["month"]), 1))

    @classmethod
    def always(cls) -> Self:
        return cls(datetime(_FIRST_YEAR, 1, 1, tzinfo=UTC), datetime(datetime.max.year, 1, 1, tzinfo=UTC))

    @property
    def values(self) -> dict[str, datetime]:
        """As parameters of a statement."""
        return {"start": self.start, "end": self.end}

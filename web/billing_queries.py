"""Query parameters of bills."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tasks.billing.period import Period
from web.queries import Query

Month = Annotated[str, StringConstraints(pattern=r"^2[0-9]{3}-(0[1-9]|1[0-2])$")]


class MonthQuery(Query):
    """Which month."""

    month: Month | None = Field(None, description="Such as `2026-11`, in UTC; the present one without it.")

    @property
    def period(self) -> Period:
        return Period.parse_month(self.month)


class LedgerQuery(MonthQuery):
    """Which entries of a month, oldest first."""

    after: int | None = Field(None, ge=0, lt=2**63, description="The page behind this entry.")
    limit: int = Field(100, ge=1, le=1000, description="How many at most.")


class ExportQuery(MonthQuery):
    """How to write a month's entries."""

    format: Literal["csv", "jsonl", "parquet"] = "csv"
    focus: bool = Field(False, description="The columns of FOCUS 1.1.")

"""Months as money is counted by: from a first to the next, in UTC."""

from datetime import UTC, date, datetime, timedelta

THIS_MONTH_SQL = "(date_trunc('month', now() AT TIME ZONE 'UTC'))::date"
"""The month of the transaction, in SQL."""


def month_of(moment: datetime) -> date:
    """Its first day."""
    return moment.astimezone(UTC).date().replace(day=1)


def this_month() -> date:
    return month_of(datetime.now(UTC))


def start_of(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)


def next_month(month: date) -> date:
    return (month.replace(day=1) + timedelta(days=32)).replace(day=1)

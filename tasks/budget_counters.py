"""What counts in which budget, and the counters: one statement for each subject that has one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.budget_subject import Subject, SubjectKind
from tasks.months import THIS_MONTH_SQL


@dataclass(frozen=True, slots=True)
class Change:
    """Of a month's counters."""

    held_usd: Decimal = Decimal(0)
    spent_usd: Decimal = Decimal(0)

    def __add__(self, other: "Change") -> "Change":
        return Change(self.held_usd + other.held_usd, self.spent_usd + other.spent_usd)


def concerned(budgeted: Sequence[str], api_key_id: str | None) -> list[Subject]:
    """Of a project's budgets, those that a key's jobs count in."""
    subjects = map(Subject.parse, budgeted)
    return [
        subject for subject in subjects if subject.kind is not SubjectKind.KEY or subject.id == api_key_id
    ]


def hold(connection: Connection, amounts_usd: Mapping[Subject, Decimal]) -> Subject | None:
    """Count money as held this month; the first subject whose hard limit it exceeds, or None.

    In one order everywhere, so that two transactions can't wait for each other.
    """
    for subject in sorted(amounts_usd):
        counted = connection.execute(_HOLD, {**subject.params, "more_usd": amounts_usd[subject]})
        if counted.rowcount == 0:
            return subject
    return None


def settle(connection: Connection, changes: Iterable[tuple[Subject, date, Change]]) -> None:
    """Release and charge, each in the month in which it was held."""
    sums: defaultdict[tuple[Subject, date], Change] = defaultdict(Change)
    for subject, month, change in changes:
        sums[subject, month] += change
    for subject, month in sorted(sums):
        change = sums[subject, month]
        values = {"month": month, "held_usd": change.held_usd, "spent_usd": change.spent_usd}
        connection.execute(_SETTLE, {**subject.params, **values})


def adjust(connection: Connection, subjects: Iterable[Subject], amount_usd: Decimal) -> None:
    """Count what no job was charged, this month."""
    for subject in sorted(subjects):
        connection.execute(_ADJUST, {**subject.params, "more_usd": amount_usd})


# The row of a new month is made by whoever first counts in it.
_HOLD = text(f"""
    INSERT INTO budget_months AS counted (subject_kind, subject_id, month, held_usd)
    SELECT subject_kind, subject_id, {THIS_MONTH_SQL}, :more_usd FROM budgets
    WHERE subject_kind = :kind AND subject_id = :id AND (
        hard_usd IS NULL OR :more_usd <= hard_usd
        OR EXISTS (SELECT FROM budget_months WHERE subject_kind = :kind AND subject_id = :id
            AND month = {THIS_MONTH_SQL})
    )
    ON CONFLICT (subject_kind, subject_id, month) DO UPDATE
    SET held_usd = counted.held_usd + excluded.held_usd
    WHERE (
        SELECT hard_usd IS NULL OR counted.held_usd + counted.spent_usd + excluded.held_usd <= hard_usd
        FROM budgets WHERE subject_kind = :kind AND subject_id = :id
    )
""")  # noqa: S608 - a constant
_SETTLE = text("""
    UPDATE budget_months SET held_usd = held_usd + :held_usd, spent_usd = spent_usd + :spent_usd
    WHERE subject_kind = :kind AND subject_id = :id AND month = :month
""")
_ADJUST = text(f"""
    INSERT INTO budget_months AS counted (subject_kind, subject_id, month, spent_usd)
    VALUES (:kind, :id, {THIS_MONTH_SQL}, :more_usd)
    ON CONFLICT (subject_kind, subject_id, month) DO UPDATE
    SET spent_usd = counted.spent_usd + excluded.spent_usd
""")  # noqa: S608 - a constant

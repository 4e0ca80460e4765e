"""What the tables say of the jobs that clients were promised, and a trigger that sees what no client sees."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal

import psycopg2
from psycopg2.extensions import cursor

_OUTCOME = [
    "status",
    "output_text",
    "output_token_ids",
    "finish_reason",
    "choices",
    "billed_prompt_tokens",
    "cached_tokens",
    "completion_tokens",
    "cost_usd",
    "error_code",
    "ended_at",
    "attempt",
]
_WATCH_ENDED = f"""
    CREATE SCHEMA chaos;
    CREATE TABLE chaos.changes (job_id text, what text);
    CREATE FUNCTION chaos.note_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO chaos.changes VALUES (OLD.id, OLD.status || ' became ' || NEW.status);
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_note_change AFTER UPDATE ON jobs FOR EACH ROW
    WHEN (OLD.ended_at IS NOT NULL AND ({", ".join(f"OLD.{name}" for name in _OUTCOME)})
        IS DISTINCT FROM ({", ".join(f"NEW.{name}" for name in _OUTCOME)}))
    EXECUTE FUNCTION chaos.note_change();
"""  # noqa: S608 - constants
_ROWS = """
    SELECT id, status, coalesce(billed_prompt_tokens, 0), coalesce(cached_tokens, 0),
        coalesce(completion_tokens, 0), cost_usd, attempt,
        (coalesce(billed_prompt_tokens, 0) - coalesce(cached_tokens, 0)) * price_input_usd / 1000000
        + coalesce(cached_tokens, 0) * price_cached_input_usd / 1000000
        + coalesce(completion_tokens, 0) * price_output_usd / 1000000,
        coalesce(charges, 0), coalesce(charged_usd, 0)
    FROM jobs LEFT JOIN (
        SELECT job_id, count(*) AS charges, sum(amount_usd) AS charged_usd FROM ledger_entries
        WHERE kind = 'charge' GROUP BY job_id
    ) AS charged ON charged.job_id = jobs.id
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A job as it was billed."""

    id: str
    status: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_usd: Decimal | None
    attempt: int
    priced_usd: Decimal
    charges: int
    charged_usd: Decimal


class Books:
    """Reads around the lines."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url

    def watch_ended(self) -> None:
        """From now on, note every change of a job that has ended."""
        with self._cursor() as run:
            run.execute(_WATCH_ENDED)

    def changed_after_the_end(self) -> list[tuple[str, str]]:
        with self._cursor() as run:
            run.execute("SELECT job_id, what FROM chaos.changes LIMIT 20")
            return [(str(job_id), str(what)) for job_id, what in run.fetchall()]

    def rows(self) -> dict[str, Row]:
        with self._cursor() as run:
            run.execute(_ROWS)
            return {found[0]: Row(*found) for found in run.fetchall()}

    def held_usd(self) -> Decimal:
        with self._cursor() as run:
            run.execute(
                "SELECT (SELECT coalesce(sum(held_usd), 0) FROM spend) + "
                "(SELECT coalesce(sum(held_usd), 0) FROM budget_months)"
            )
            (held,) = run.fetchone() or (Decimal(0),)
            return Decimal(held)

    @contextmanager
    def _cursor(self) -> Iterator[cursor]:
        connection = psycopg2.connect(self._database_url)
        try:
            with connection, connection.cursor() as run:
                yield run
        finally:
            connection.close()

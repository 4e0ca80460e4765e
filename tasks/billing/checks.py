"""What must be so in the tables: each a query that finds what is not.

A charge is written in the transaction that ends its job, so the two are of one moment and one period.
"""

from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from tasks.billing.difference import Difference
from tasks.billing.period import Period
from tasks.pricing import usd_text

_OF_PROJECT = "(cast(:project AS text) IS NULL OR {table}.project_id = :project)"
_ENTRIES = f"""
    ledger_entries AS entries LEFT JOIN jobs ON jobs.id = entries.job_id
    WHERE entries.kind = 'charge' AND entries.created_at >= :start AND entries.created_at < :end
        AND {_OF_PROJECT.format(table="entries")}
"""
_JOBS = f"""
    jobs WHERE jobs.ended_at >= :start AND jobs.ended_at < :end AND {_OF_PROJECT.format(table="jobs")}
"""
_PRICED = """(
    (jobs.billed_prompt_tokens - jobs.cached_tokens) * jobs.price_input_usd
    + jobs.cached_tokens * jobs.price_cached_input_usd
    + jobs.completion_tokens * jobs.price_output_usd
) / 1000000"""


@dataclass(frozen=True, slots=True)
class Check:
    """``query`` finds columns project_id and about, and whatever ``message`` tells of."""

    name: str
    query: str
    message: str

    def first(self, connection: Connection, period: Period, project_id: str | None) -> Difference | None:
        """What is wrong, or None. Whichever is found first: to sort would mean to find all."""
        values = {"project": project_id, **period.values}
        row = connection.execute(text(f"{self.query} LIMIT 1"), values).mappings().first()
        if row is None:
            return None
        told = {name: usd_text(value) if isinstance(value, Decimal) else value for name, value in row.items()}
        return Difference(self.name, row["project_id"], row["about"], self.message.format_map(told))


CHECKS = (
    Check(
        "missing_charge",
        f"""
        SELECT jobs.project_id, jobs.id AS about, jobs.cost_usd FROM {_JOBS}
            AND (jobs.billed_prompt_tokens > 0 OR jobs.completion_tokens > 0)
            AND NOT EXISTS (SELECT FROM ledger_entries WHERE job_id = jobs.id AND kind = 'charge')
        """,  # noqa: S608 - constants
        "the job's usage of {cost_usd} USD has no charge",
    ),
    Check(
        "doubled_charge",
        f"""
        SELECT entries.project_id, entries.job_id AS about, count(*) AS times FROM {_ENTRIES}
        GROUP BY 1, 2 HAVING count(*) > 1
        """,  # noqa: S608 - constants
        "the job was charged {times} times",
    ),
    Check(
        "charge_without_job",
        f"""
        SELECT entries.project_id, entries.business_key AS about FROM {_ENTRIES}
            AND (jobs.id IS NULL OR jobs.project_id <> entries.project_id OR jobs.ended_at IS NULL)
        """,  # noqa: S608 - constants
        "there is no ended job of this project that it is for",
    ),
    Check(
        "wrong_amount",
        f"""
        SELECT entries.project_id, jobs.id AS about, entries.amount_usd, jobs.cost_usd FROM {_ENTRIES}
            AND entries.amount_usd IS DISTINCT FROM jobs.cost_usd
        """,  # noqa: S608 - constants
        "{amount_usd} USD were charged for a job that cost {cost_usd} USD",
    ),
    Check(
        "wrong_price",
        f"""
        SELECT jobs.project_id, jobs.id AS about, jobs.cost_usd, {_PRICED} AS priced_usd FROM {_JOBS}
            AND jobs.cost_usd IS DISTINCT FROM {_PRICED}
        """,  # noqa: S608 - constants
        "the job cost {cost_usd} USD, but its usage at its prices is {priced_usd} USD",
    ),
    Check(
        "wrong_usage",
        f"""
        SELECT entries.project_id, jobs.id AS about FROM {_ENTRIES}
            AND (entries.prompt_tokens, entries.cached_tokens, entries.completion_tokens) IS DISTINCT FROM
                (jobs.billed_prompt_tokens, jobs.cached_tokens, jobs.completion_tokens)
        """,  # noqa: S608 - constants
        "the charge and the job are for different numbers of tokens",
    ),
    Check(
        "wrong_output",
        f"""
        SELECT jobs.project_id, jobs.id AS about, jobs.completion_tokens FROM {_JOBS}
            AND jobs.status = 'completed' AND jobs.type <> 'embedding' AND jobs.deleted_at IS NULL
            AND jobs.choices IS NULL
            AND jobs.completion_tokens <> coalesce(cardinality(jobs.output_token_ids), 0)
        """,  # noqa: S608 - constants
        "{completion_tokens} output tokens were charged, but the output has another number",
    ),
    Check(
        "wrong_batch",
        f"""
        SELECT batches.project_id, batches.id AS about, batches.cost_usd, lines.lines_usd
        FROM batches LEFT JOIN LATERAL (
            SELECT coalesce(sum(cost_usd), 0) AS lines_usd,
                coalesce(sum(billed_prompt_tokens), 0) AS input_tokens,
                coalesce(sum(completion_tokens), 0) AS output_tokens
            FROM jobs WHERE jobs.batch_id = batches.id
        ) AS lines ON true
        WHERE batches.in_progress_at < :end AND batches.expires_at >= :start
            AND {_OF_PROJECT.format(table="batches")}
            AND (batches.cost_usd, batches.input_tokens, batches.output_tokens)
                <> (lines.lines_usd, lines.input_tokens, lines.output_tokens)
        """,  # noqa: S608 - constants
        "the batch says that it cost {cost_usd} USD, its lines say {lines_usd} USD, or their tokens differ",
    ),
    Check(
        "orphan_hold",
        f"""
        SELECT holds.project_id, holds.job_id AS about, holds.amount_usd
        FROM holds JOIN jobs ON jobs.id = holds.job_id
        WHERE (jobs.ended_at IS NOT NULL OR jobs.project_id <> holds.project_id)
            AND {_OF_PROJECT.format(table="holds")}
        """,  # noqa: S608 - constants
        "{amount_usd} USD are held for a job that has ended",
    ),
    Check(
        "missing_hold",
        f"""
        SELECT jobs.project_id, jobs.id AS about FROM jobs
        WHERE jobs.status IN ('queued', 'in_progress') AND {_OF_PROJECT.format(table="jobs")}
            AND NOT EXISTS (SELECT FROM holds WHERE holds.job_id = jobs.id)
        """,  # noqa: S608 - constants
        "nothing is held for a job that has not ended",
    ),
    Check(
        "wrong_spend",
        f"""
        SELECT spend.project_id, spend.project_id AS about, spend.spent_usd, spend.held_usd,
            spend.granted_usd, sums.*
        FROM spend LEFT JOIN LATERAL (
            SELECT coalesce(sum(amount_usd) FILTER (WHERE kind <> 'grant'), 0) AS ledger_usd,
                coalesce(-sum(amount_usd) FILTER (WHERE kind = 'grant'), 0) AS grants_usd,
                (SELECT coalesce(sum(amount_usd), 0) FROM holds WHERE project_id = spend.project_id)
                    AS holds_usd
            FROM ledger_entries WHERE project_id = spend.project_id
        ) AS sums ON true
        WHERE {_OF_PROJECT.format(table="spend")}
            AND (spend.spent_usd, spend.held_usd, spend.granted_usd) <> (ledger_usd, holds_usd, grants_usd)
        """,  # noqa: S608 - constants
        "spent, held and granted are kept as {spent_usd}, {held_usd} and {granted_usd} USD, "
        "but add up to {ledger_usd}, {holds_usd} and {grants_usd} USD",
    ),
    *(
        Check(
            "wrong_usage_sums",
            f"""
        SELECT project_id, project_id AS about, sum(counted_usd) AS counted_usd,
            sum(entered_usd) AS entered_usd
        FROM (
            SELECT project_id, amount_usd AS counted_usd, 0 AS entered_usd, entries,
                prompt_tokens, cached_tokens, completion_tokens
            FROM {sums}
            WHERE {sums}.start >= :start AND {sums}.start < :end AND {_OF_PROJECT.format(table=sums)}
            UNION ALL
            SELECT project_id, 0, amount_usd, -1,
                -coalesce(prompt_tokens, 0), -coalesce(cached_tokens, 0), -coalesce(completion_tokens, 0)
            FROM ledger_entries
            WHERE kind <> 'grant' AND created_at >= :start AND created_at < :end
                AND {_OF_PROJECT.format(table="ledger_entries")}
        ) AS both_sides
        GROUP BY project_id
        HAVING sum(counted_usd) <> sum(entered_usd) OR sum(entries) <> 0 OR sum(prompt_tokens) <> 0
            OR sum(cached_tokens) <> 0 OR sum(completion_tokens) <> 0
        """,  # noqa: S608 - constants
            f"{sums} count {{counted_usd}} USD, but {{entered_usd}} USD were entered, or the tokens differ",
        )
        for sums in ("usage_hours", "usage_days")
    ),
)

"""Jobs that end as a test says, and what the database says of the money."""

from decimal import Decimal
from typing import Any

from sqlalchemy import text

from tasks import claiming, jobs
from tasks.db import transaction
from tasks.jobs import Ending
from tasks.models import JobStatus

# Two tokens at 0.02 and eight at 0.08 dollars a million; of the eight, three are generated.
HOLD = Decimal("0.00000068")
CHARGE = Decimal("0.00000028")


def finish(job_id: str, status: JobStatus = JobStatus.COMPLETED) -> None:
    """As a worker would, having generated three tokens unless it failed."""
    billed = status is not JobStatus.FAILED
    with transaction() as connection:
        claimed = claiming.claim(connection, job_id, "worker_a")
        assert claimed is not None
        ending = Ending(
            job_id=job_id,
            attempt=claimed.attempt,
            status=status,
            output_text=" a time",
            output_token_ids=[1, 2, 3],
            finish_reason="stop",
            prompt_tokens=2 if billed else 0,
            completion_tokens=3 if billed else 0,
        )
        assert jobs.end(connection, [ending]) == [job_id]


def row(query: str, **values: object) -> Any:
    """The one row that a query finds."""
    with transaction() as connection:
        return connection.execute(text(query), values).one()


def change(*statements: str) -> None:
    """What nobody should be able to do: in one transaction, straight in the tables."""
    with transaction() as connection:
        for statement in statements:
            connection.execute(text(statement))

"""How many tokens a project may have queued in batches, by model."""

from sqlalchemy import Connection, func, select

from tasks.batch_progress import STILL_OPEN
from tasks.errors import TooManyQueuedTokens
from tasks.limit_book import limits_of
from tasks.models import Batch
from tasks.plan import ServiceTier


def check(connection: Connection, project_id: str, model: str | None, more_tokens: int) -> None:
    """Raises TooManyQueuedTokens where the prompts of open batches and so many tokens are too many.

    A batch counts with all its prompts until it ends.
    """
    if model is None:
        return
    limits = limits_of(project_id)
    of_model = limits.of(model, ServiceTier.DEFAULT).queued_batch_tokens
    _check(connection, project_id, model, more_tokens, of_model)
    _check(connection, project_id, None, more_tokens, limits.whole().queued_batch_tokens)


def _check(connection: Connection, project_id: str, model: str | None, more_tokens: int, amount: int) -> None:
    if not amount:
        return
    query = select(func.coalesce(func.sum(Batch.queued_tokens), 0)).where(
        Batch.project_id == project_id, Batch.status.in_(STILL_OPEN)
    )
    if model is not None:
        query = query.where(Batch.model == model)
    queued = int(connection.execute(query).scalar_one())
    if queued + more_tokens > amount:
        of = "this project" if model is None else f"the model {model!r} in this project"
        raise TooManyQueuedTokens(
            f"The limit is {amount} tokens queued in batches of {of}; with this batch it would be "
            f"{queued + more_tokens}. Try again when other batches have ended."
        )

"""What a response may go on from, beyond what its project has."""

from tasks import job_queries
from tasks.errors import InvalidRequest, JobNotFound
from tasks.ids import RESPONSE_PREFIX, job_id_of
from tasks.principal import Principal, demand
from tasks.scopes import WRITE
from tasks.wire.responses import PromptFields


def check_access(principal: Principal, wanted: PromptFields) -> None:
    """A conversation grows by it, so that takes a scope; an end user goes on from own responses alone.

    Raises PermissionDenied, and InvalidRequest as for a response that is not there.
    """
    if wanted.conversation_id is not None:
        demand(principal, WRITE, "conversations")
    previous, sender = wanted.previous_response_id, principal.sees_jobs_of
    if previous is None or sender is None:
        return
    try:
        job_queries.check_sender(principal.project_id, job_id_of(previous, RESPONSE_PREFIX) or "", sender)
    except JobNotFound:
        raise InvalidRequest(
            f"There is no response {previous!r}.",
            param="previous_response_id",
            code="previous_response_not_found",
        ) from None

"""Responses: jobs that can be read, gone on from, cancelled and deleted under an id of their own."""

from contextlib import suppress

from tasks import cancellation, deletion, job_results
from tasks.admission import Submission
from tasks.errors import InvalidRequest, JobAlreadyEnded, JobNotFound, ResponseNotFound
from tasks.ids import RESPONSE_PREFIX, job_id_of
from tasks.item_page import ItemFilter, take_page
from tasks.plan import Endpoint, JobPlan
from tasks.response_context import context_of
from tasks.response_turns import PlacedItem
from tasks.result import Choice, JobResult
from tasks.wire.item_ids import ItemPlace, digits_of
from tasks.wire.response_plan import count_input_tokens, response_plan
from tasks.wire.responses import InputTokensRequest, ResponseRequest
from tasks.wire.shown_items import ItemListBody, shown_item


def plan(project_id: str, request: ResponseRequest) -> JobPlan:
    """Raises UnknownModelRequested, InvalidRequest, ContextLengthExceeded, ConversationNotFound."""
    return response_plan(request, context_of(project_id, request))


def input_tokens(project_id: str, request: InputTokensRequest) -> int:
    """How many tokens the prompt would have. Raises what ``plan`` raises."""
    return count_input_tokens(request, context_of(project_id, request))


def accepted(submission: Submission, wanted: JobPlan) -> JobResult:
    """A response as it was admitted, without asking the database; an earlier one as it stands."""
    job = submission.job
    if submission.replayed:
        return job_results.get_result(job.project_id, job.id)
    return JobResult(
        job=job,
        request=wanted.request,
        params=wanted.params,
        n=wanted.n,
        best_of=wanted.best_of,
        prompts=wanted.prompts,
        choices=(Choice(text="", token_ids=()),),
    )


def get(project_id: str, response_id: str) -> JobResult:
    """Raises ResponseNotFound, also for one that was not stored, and for another project's."""
    job_id = job_id_of(response_id, RESPONSE_PREFIX)
    if job_id is not None:
        with suppress(JobNotFound):
            result = job_results.get_result(project_id, job_id)
            if result.job.endpoint == Endpoint.RESPONSES and result.job.stored:
                return result
    raise ResponseNotFound(f"There is no response {response_id!r}.", param="response_id")


def cancel(project_id: str, response_id: str) -> JobResult:
    """Cancel a response in the background; one that has ended stays as it is.

    Raises ResponseNotFound, InvalidRequest.
    """
    found = get(project_id, response_id)
    if not found.request.get("background"):
        raise InvalidRequest(
            "Only responses made with `background: true` can be cancelled.", param="response_id"
        )
    with suppress(JobAlreadyEnded):
        cancellation.cancel_job(project_id, found.job.id)
    return get(project_id, response_id)


def delete(project_id: str, response_id: str) -> None:
    """Raises ResponseNotFound."""
    deletion.delete_job(project_id, get(project_id, response_id).job.id)


def list_input_items(project_id: str, response_id: str, wanted: ItemFilter) -> ItemListBody:
    """What the response was given itself, apart from what came before. Raises ResponseNotFound."""
    found = get(project_id, response_id)
    digits = digits_of(found.job.id)
    items = [
        PlacedItem(ItemPlace(digits, number), shown_item(item, digits, number))
        for number, item in enumerate(found.request["input"])
    ]
    return take_page(reversed(items) if wanted.newest_first else items, wanted)

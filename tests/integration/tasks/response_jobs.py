"""Responses whose jobs end as a test says, without a model."""

from typing import Any

from tasks import jobs, responses, stored_choices
from tasks.admission import submit
from tasks.db import transaction
from tasks.ids import RESPONSE_PREFIX, shown_as
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.result import Choice
from tasks.wire.item_ids import digits_of
from tasks.wire.responses import RESPONSE_REQUEST

FUNCTION = {"type": "function", "name": "weather", "parameters": {"type": "object"}}
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'


class Responder:
    """Makes responses of one project."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.project_id = principal.project_id

    def begin(self, text: str | list[dict[str, Any]], **changes: Any) -> str:
        """Admit a response; returns its id."""
        body = {"model": "smollm2", "input": text, "max_output_tokens": 8, **changes}
        plan = responses.plan(self.project_id, RESPONSE_REQUEST.validate_python(body))
        submission = submit(self.principal, plan, idempotency_key=None, request_id=None)
        return shown_as(submission.job.id, RESPONSE_PREFIX)

    def end(
        self, response_id: str, text: str, status: JobStatus = JobStatus.COMPLETED, **changes: Any
    ) -> None:
        """End a response that nobody has claimed."""
        values: dict[str, Any] = {"output_text": text, "output_token_ids": [1], "completion_tokens": 1}
        if status is JobStatus.COMPLETED:
            values["finish_reason"] = "stop"
        job_id = f"job_{digits(response_id)}"
        ending = jobs.Ending(job_id=job_id, attempt=0, status=status, **{**values, **changes})
        with transaction() as connection:
            assert jobs.end(connection, [ending]) == [job_id]

    def respond(self, text: str, answer: str, **changes: Any) -> str:
        """A response from its beginning to its end."""
        response_id = self.begin(text, **changes)
        self.end(response_id, answer)
        return response_id


def digits(response_id: str) -> str:
    return digits_of(response_id.removeprefix(RESPONSE_PREFIX))


def scored(text: str) -> dict[str, Any]:
    """The ending of a response with log-probabilities: its outputs are kept as JSON."""
    choice = Choice(text=text, token_ids=(1,), finish_reason="stop")
    return {"choices": stored_choices.to_json([choice]), "output_text": None, "finish_reason": None}

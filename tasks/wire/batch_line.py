"""A line of a batch's output or error file: the same bytes whenever it is shown."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json

from tasks.batch_results import FinishedLine
from tasks.endpoints import body_of
from tasks.ids import shown_as
from tasks.models import JobStatus
from tasks.plan import ServiceTier
from tasks.result import JobResult

LINE_PREFIX = "batch_req_"
REQUEST_PREFIX = "req_"
BATCH_PREFIX = "batch_"

_INVALID = "invalid_request_error"
_INVALID_STATUS = 400
_STATUSES = {"model_not_found": 404}
"""Of refusals that an endpoint answers with another status than most."""
_NO_RESPONSE = frozenset({"batch_expired", "batch_cancelled"})


def line_bytes(batch_id: str, line: FinishedLine) -> bytes:
    """The line with its end."""
    return _encoded(batch_id, line) + b"\n"


def _encoded(batch_id: str, line: FinishedLine) -> bytes:
    digits = _digits(batch_id, line)
    head = {"id": LINE_PREFIX + digits, "custom_id": line.custom_id}
    if line.result is not None and line.result.job.status is JobStatus.COMPLETED:
        # The answer is written once, as its endpoint writes it, not parsed and written again.
        body = _as_shown(body_of(line.result)).model_dump_json().encode()
        opening = to_json({**head, "response": {"status_code": 200, "request_id": REQUEST_PREFIX + digits}})
        return opening[:-2] + b',"body":' + body + b'},"error":null}'
    if line.result is None and line.code in _NO_RESPONSE:
        return to_json({**head, "response": None, "error": _named(line.error, "code", "message")})
    status, error = _failure(line.result) if line.result is not None else _refusal(line)
    response = {"status_code": status, "request_id": REQUEST_PREFIX + digits, "body": {"error": error}}
    return to_json({**head, "response": response, "error": None})


def _as_shown(body: BaseModel) -> BaseModel:
    """The API's answers know no tier of batches."""
    if "service_tier" not in type(body).model_fields:
        return body
    return body.model_copy(update={"service_tier": ServiceTier.DEFAULT.value})


def _digits(batch_id: str, line: FinishedLine) -> str:
    """The job's; a line that never became one has its batch's, and its number."""
    if line.result is not None:
        return shown_as(line.result.job.id, "")
    return f"{batch_id.removeprefix(BATCH_PREFIX)}_{line.line_number}"


def _failure(result: JobResult) -> tuple[int, dict[str, Any]]:
    job = result.job
    return 500, {
        "message": job.error_message,
        "type": "server_error",
        "param": None,
        "code": job.error_code,
    }


def _refusal(line: FinishedLine) -> tuple[int, dict[str, Any]]:
    error = {"type": _INVALID, **_named(line.error, "message", "param", "code")}
    return _STATUSES.get(line.code or "", _INVALID_STATUS), error


def _named(error: dict[str, Any] | None, *names: str) -> dict[str, Any]:
    return {name: (error or {}).get(name) for name in names}

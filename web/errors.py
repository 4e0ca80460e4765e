"""What a client is told when something is refused or fails: exception → status and body."""

import json
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from flask import Flask, Response
from werkzeug.exceptions import HTTPException

from tasks import errors
from tasks.backpressure import QueueFull
from tasks.receipts import errors as receipt_errors
from web import metrics
from web.requests import RequestTooSlow, request_id

INVALID = "invalid_request_error"
_GIVE_UP = {"x-should-retry": "false"}
# How long an outage lasts is not known; the pools notice its end within about this long.
_OUTAGE = {"Retry-After": "2"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Answer:
    """How an exception looks from outside."""

    status: int
    type: str
    headers: Mapping[str, str] = field(default_factory=dict)


_ANSWERS: dict[type[errors.TokenmillError], Answer] = {
    errors.InvalidRequest: Answer(400, INVALID),
    errors.AuthenticationFailed: Answer(
        401, "authentication_error", {"WWW-Authenticate": 'Bearer realm="tokenmill"'}
    ),
    errors.PermissionDenied: Answer(403, "permission_error"),
    errors.UnknownModelRequested: Answer(404, INVALID),
    errors.JobNotFound: Answer(404, INVALID),
    errors.ResponseNotFound: Answer(404, INVALID),
    errors.ConversationNotFound: Answer(404, INVALID),
    errors.ItemNotFound: Answer(404, INVALID),
    errors.BatchNotFound: Answer(404, INVALID),
    errors.FileNotFound: Answer(404, INVALID),
    errors.UploadNotFound: Answer(404, INVALID),
    errors.WebhookEndpointNotFound: Answer(404, INVALID),
    errors.WebhookDeliveryNotFound: Answer(404, INVALID),
    errors.WebhookEndpointDisabled: Answer(409, INVALID, _GIVE_UP),
    errors.WebhookUnreachable: Answer(400, INVALID),
    errors.FileTooLarge: Answer(413, INVALID),
    errors.ProjectNotFound: Answer(404, INVALID),
    errors.KeyNotFound: Answer(404, INVALID),
    errors.AdminKeyNotFound: Answer(404, INVALID),
    errors.UserNotFound: Answer(404, INVALID),
    errors.InviteNotFound: Answer(404, INVALID),
    errors.ServiceAccountNotFound: Answer(404, INVALID),
    errors.RateLimitNotFound: Answer(404, INVALID),
    errors.NotSupportedHere: Answer(404, INVALID),
    errors.BudgetNotFound: Answer(404, INVALID),
    errors.AlertNotFound: Answer(404, INVALID),
    receipt_errors.ReceiptNotFound: Answer(404, INVALID),
    receipt_errors.ReceiptsNotConfigured: Answer(404, INVALID),
    # The SDK retries 409 and 429 by itself; none of these mends that way.
    errors.JobAlreadyEnded: Answer(409, INVALID, _GIVE_UP),
    errors.BatchAlreadyEnded: Answer(409, INVALID, _GIVE_UP),
    errors.BatchStillRunning: Answer(409, INVALID, _GIVE_UP),
    errors.IdempotencyKeyReused: Answer(409, INVALID, _GIVE_UP),
    errors.JobCancelled: Answer(409, INVALID, _GIVE_UP),
    errors.UploadNotPending: Answer(409, INVALID, _GIVE_UP),
    errors.UserAlreadyThere: Answer(409, INVALID, _GIVE_UP),
    errors.ProjectArchived: Answer(409, INVALID, _GIVE_UP),
    errors.BusinessKeyReused: Answer(409, INVALID, _GIVE_UP),
    receipt_errors.JobNotEnded: Answer(409, INVALID, _GIVE_UP),
    # It takes seconds.
    receipt_errors.ReceiptNotReady: Answer(503, "service_unavailable", _OUTAGE),
    RequestTooSlow: Answer(408, INVALID),
    # The job goes on or is over: a retry would only start another one.
    errors.JobStillRunning: Answer(504, "timeout_error", _GIVE_UP),
    errors.JobExpired: Answer(504, "timeout_error", _GIVE_UP),
    errors.JobFailed: Answer(500, "server_error"),
    # Nobody reads this; the status is for the log.
    errors.ClientGone: Answer(499, INVALID),
    errors.InsufficientQuota: Answer(429, "insufficient_quota", _GIVE_UP),
    errors.RateLimitReached: Answer(429, "rate_limit_error"),
    errors.TooManyJobs: Answer(429, "rate_limit_error"),
    errors.LimitsUnavailable: Answer(503, "service_unavailable", _OUTAGE),
    errors.IdentityProviderUnavailable: Answer(503, "service_unavailable", _OUTAGE),
    errors.ReplayGuardUnavailable: Answer(503, "service_unavailable", _OUTAGE),
    errors.DatabaseUnavailable: Answer(503, "service_unavailable", _OUTAGE),
    errors.BrokerUnavailable: Answer(503, "service_unavailable", _OUTAGE),
    errors.StorageUnavailable: Answer(503, "service_unavailable", _OUTAGE),
    errors.SchemaOutdated: Answer(503, "service_unavailable", _OUTAGE),
    errors.ServerBusy: Answer(503, "service_unavailable", _OUTAGE),
    QueueFull: Answer(503, "service_unavailable"),
    errors.ServerStopping: Answer(503, "service_unavailable", _OUTAGE),
}

_UNEXPECTED = Answer(500, "server_error")
_INTERNAL = "internal_error"
_HTTP_CODES = {
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    429: "rate_limit_exceeded",
}
_HTTP_MESSAGES = {
    404: "There is nothing at this address.",
    405: "This address does not answer that method; see the Allow header.",
}


def install(app: Flask) -> None:
    app.register_error_handler(errors.TokenmillError, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def error_response(
    answer: Answer,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    details: Sequence[Mapping[str, object]] = (),
) -> Response:
    body = _error_body(answer, message, param, code, details)
    response = Response(json.dumps(body) + "\n", answer.status, mimetype="application/json")
    response.headers.update(answer.headers)
    return response


def error_body(error: Exception, request_id: str) -> dict[str, object]:
    """What a client is told of an error that comes too late for a status."""
    answer = _answer(error)
    if answer is None or not isinstance(error, errors.TokenmillError):
        _log_unexpected(error)
        return _error_body(_UNEXPECTED, _unexpected_message(request_id), None, _INTERNAL)
    return _error_body(answer, error.message, error.param, error.code, error.details)


def _error_body(
    answer: Answer,
    message: str,
    param: str | None,
    code: str | None,
    details: Sequence[Mapping[str, object]] = (),
) -> dict[str, object]:
    error: dict[str, object] = {"message": message, "type": answer.type, "param": param, "code": code}
    if details:
        error["details"] = list(details)
    return {"error": error}


def _answer(error: Exception) -> Answer | None:
    return next((_ANSWERS[kind] for kind in type(error).__mro__ if kind in _ANSWERS), None)


def _refused(error: errors.TokenmillError) -> Response:
    metrics.count_refusal(error)
    answer = _answer(error)
    if answer is None:
        return _unexpected(error)
    response = error_response(
        answer, error.message, param=error.param, code=error.code, details=error.details
    )
    if isinstance(error, QueueFull):
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _http_error(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if status < 400:
        return error
    if status >= 500:
        return _unexpected(error)
    message = _HTTP_MESSAGES.get(status) or error.description or error.name
    answer = Answer(status, "rate_limit_error" if status == 429 else INVALID)
    response = error_response(answer, message, code=_HTTP_CODES.get(status, "bad_request"))
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    _log_unexpected(error)
    return error_response(_UNEXPECTED, _unexpected_message(request_id()), code=_INTERNAL)


def _unexpected_message(request_id: str) -> str:
    return f"Something went wrong on our side. The request's id is {request_id}."


def _log_unexpected(error: Exception) -> None:
    log.error(
        "request failed",
        action="request_failed",
        errors=[f"{type(cause).__module__}.{type(cause).__qualname__}" for cause in _causes(error)],
        # Frames without the exception's own words: those may quote the request.
        frames="".join(traceback.format_tb(error.__traceback__)),
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__

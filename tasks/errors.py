"""Everything the platform refuses or fails at; the docstring is the default message."""

from tasks.limit import Standing, refusal_text


class TokenmillError(Exception):
    """Something went wrong."""

    code = "error"

    def __init__(
        self,
        message: str | None = None,
        *,
        param: str | None = None,
        code: str | None = None,
        details: tuple[dict[str, object], ...] = (),
    ) -> None:
        self.message = message or (self.__doc__ or "").strip()
        self.param = param
        self.code = code or self.code
        self.details = details
        super().__init__(self.message)


class InvalidRequest(TokenmillError):
    """The request is not valid."""

    code = "invalid_value"


class UnknownModelRequested(TokenmillError):
    """The model does not exist or this project has no access to it."""

    code = "model_not_found"


class ModelNotSupported(InvalidRequest):
    """The model is not for this."""

    code = "unsupported_model"


class ContextLengthExceeded(InvalidRequest):
    """The prompt and the tokens asked for do not fit the model's context."""

    code = "context_length_exceeded"


class AuthenticationFailed(TokenmillError):
    """The API key is missing or not valid."""

    code = "invalid_api_key"


class PermissionDenied(TokenmillError):
    """The API key does not allow this."""

    code = "insufficient_scope"


class ModelNotAllowed(PermissionDenied):
    """The API key does not allow this model."""

    code = "model_not_allowed"


class IdentityProviderUnavailable(TokenmillError):
    """The keys that tokens are checked with can't be fetched now. Try again shortly."""

    code = "identity_provider_unavailable"


class ReplayGuardUnavailable(TokenmillError):
    """Whether a signed request is a replay can't be told now. Try again shortly."""

    code = "replay_guard_unavailable"


class JobNotFound(TokenmillError):
    """No such job."""

    code = "job_not_found"


class JobAlreadyEnded(TokenmillError):
    """The job has already ended."""

    code = "job_already_ended"


class JobStillRunning(TokenmillError):
    """The job has not ended in time; it goes on."""

    code = "job_still_running"


class JobFailed(TokenmillError):
    """The job failed; nothing was charged."""

    code = "job_failed"


class JobExpired(TokenmillError):
    """The job did not end before it expired."""

    code = "job_expired"


class JobCancelled(TokenmillError):
    """The job was cancelled."""

    code = "job_cancelled"


class ClientGone(TokenmillError):
    """The client closed the connection before it was answered."""

    code = "client_gone"


class ServerBusy(TokenmillError):
    """As many requests wait here as this process can serve. Try again shortly."""

    code = "server_busy"


class ServerStopping(TokenmillError):
    """This server process is stopping."""

    code = "server_stopping"


class WorkerLeaving(TokenmillError):
    """This worker is about to end and takes nothing more."""

    code = "worker_leaving"


class IdempotencyKeyReused(TokenmillError):
    """The idempotency key was used with another request body."""

    code = "idempotency_key_reused"


class InsufficientQuota(TokenmillError):
    """The project's budget does not cover this request."""

    code = "insufficient_quota"


class DatabaseUnavailable(TokenmillError):
    """The database can't be reached; nothing was changed. Try again shortly."""

    code = "database_unavailable"


class BrokerUnavailable(TokenmillError):
    """The message broker can't be reached."""

    code = "broker_unavailable"


class SchemaOutdated(TokenmillError):
    """The database schema is not the one this version needs; run `tokenmill db upgrade`."""

    code = "schema_outdated"


class ProjectNotFound(TokenmillError):
    """No such project."""

    code = "project_not_found"


class KeyNotFound(TokenmillError):
    """No such API key."""

    code = "key_not_found"


class ResponseNotFound(TokenmillError):
    """No such response."""

    code = "response_not_found"


class ConversationNotFound(TokenmillError):
    """No such conversation."""

    code = "conversation_not_found"


class FileNotFound(TokenmillError):
    """No such file."""

    code = "file_not_found"


class FileTooLarge(TokenmillError):
    """The file is too large."""

    code = "file_too_large"


class UploadNotFound(TokenmillError):
    """No such upload."""

    code = "upload_not_found"


class UploadNotPending(TokenmillError):
    """The upload is over: nothing can be added to it."""

    code = "upload_not_pending"


class StorageUnavailable(TokenmillError):
    """The storage of files can't be used now; nothing was changed. Try again shortly."""

    code = "storage_unavailable"


class ItemNotFound(TokenmillError):
    """No such item."""

    code = "item_not_found"


class BatchNotFound(TokenmillError):
    """No such batch."""

    code = "batch_not_found"


class BatchAlreadyEnded(TokenmillError):
    """The batch has already ended."""

    code = "batch_already_ended"


class BatchStillRunning(TokenmillError):
    """The batch has not ended yet."""

    code = "batch_still_running"


class BatchRefused(TokenmillError):
    """The batch can't run."""

    code = "batch_refused"


class AdminKeyNotFound(TokenmillError):
    """No such admin key."""

    code = "admin_key_not_found"


class UserNotFound(TokenmillError):
    """No such user."""

    code = "user_not_found"


class UserAlreadyThere(TokenmillError):
    """The user is there already."""

    code = "user_already_there"


class InviteNotFound(TokenmillError):
    """No such invite."""

    code = "invite_not_found"


class ServiceAccountNotFound(TokenmillError):
    """No such service account."""

    code = "service_account_not_found"


class ProjectArchived(TokenmillError):
    """The project is archived: it can be read, but no longer changed or used."""

    code = "project_archived"


class NotSupportedHere(TokenmillError):
    """This part of the admin API has no meaning on this platform."""

    code = "not_supported_here"


class BudgetNotFound(TokenmillError):
    """No such budget."""

    code = "budget_not_found"


class BusinessKeyReused(TokenmillError):
    """The business key names another entry of the ledger."""

    code = "business_key_reused"


class BooksDisagree(TokenmillError):
    """The ledger, the jobs and the bodies do not say the same."""

    code = "books_disagree"


class AlertNotFound(TokenmillError):
    """No such alert."""

    code = "alert_not_found"


class MailNotSent(TokenmillError):
    """The mail server did not take a message."""

    code = "mail_not_sent"


class MailRefused(TokenmillError):
    """The mail server will never take this message."""

    code = "mail_refused"


class WebhookEndpointNotFound(TokenmillError):
    """No such webhook endpoint."""

    code = "webhook_endpoint_not_found"


class WebhookDeliveryNotFound(TokenmillError):
    """No such delivery."""

    code = "webhook_delivery_not_found"


class WebhookEndpointDisabled(TokenmillError):
    """The webhook endpoint is disabled."""

    code = "webhook_endpoint_disabled"


class TooManyWebhookEndpoints(InvalidRequest):
    """The project has as many webhook endpoints as it may."""

    code = "too_many_webhook_endpoints"


class WebhookUnreachable(TokenmillError):
    """The webhook endpoint can't be reached."""

    code = "webhook_unreachable"


class SecretUnreadable(TokenmillError):
    """A secret can't be decrypted: the key that it was encrypted with is not in TOKENMILL_ENCRYPTION_KEYS."""

    code = "secret_unreadable"


class RateLimitReached(TokenmillError):
    """Too many requests or tokens for now."""

    code = "rate_limit_exceeded"

    def __init__(self, standings: tuple[Standing, ...]) -> None:
        super().__init__(refusal_text(standings))
        self.standings = standings


class TooManyJobs(TokenmillError):
    """As many jobs as allowed are unfinished. Try again when some have ended."""

    code = "rate_limit_exceeded"


class TooManyQueuedTokens(TokenmillError):
    """As many tokens as allowed are queued in batches. Try again when some of them have ended."""

    code = "token_limit_exceeded"


class RateLimitNotFound(TokenmillError):
    """No such rate limit."""

    code = "rate_limit_not_found"


class LimitsUnavailable(TokenmillError):
    """Limits can't be checked now; nothing was changed. Try again shortly."""

    code = "limits_unavailable"

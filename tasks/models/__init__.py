"""The tables, a file per noun."""

from tasks.models.api_key import ApiKey
from tasks.models.base import Base
from tasks.models.batch import Batch, BatchInvalidLine
from tasks.models.checkpoint import Checkpoint
from tasks.models.conversation import Conversation, ConversationItem, RemovedConversationItem
from tasks.models.file import File
from tasks.models.hold import Hold
from tasks.models.idempotency import IdempotencyKey
from tasks.models.job import Job, JobStatus
from tasks.models.ledger_entry import LedgerEntry
from tasks.models.model import Model
from tasks.models.price import Price
from tasks.models.project import Project
from tasks.models.spend import Spend
from tasks.models.stored_object import StoredObject
from tasks.models.upload import Upload, UploadPart, UploadStatus
from tasks.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tasks.models.worker import Worker

__all__ = [
    "ApiKey",
    "Base",
    "Batch",
    "BatchInvalidLine",
    "Checkpoint",
    "Conversation",
    "ConversationItem",
    "File",
    "Hold",
    "IdempotencyKey",
    "Job",
    "JobStatus",
    "LedgerEntry",
    "Model",
    "Price",
    "Project",
    "RemovedConversationItem",
    "Spend",
    "StoredObject",
    "Upload",
    "UploadPart",
    "UploadStatus",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Worker",
]

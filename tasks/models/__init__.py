"""The tables, a file per noun."""

from tasks.models.admin_key import AdminKey
from tasks.models.api_key import ApiKey
from tasks.models.audit_entry import AuditEntry
from tasks.models.base import Base
from tasks.models.batch import Batch, BatchInvalidLine
from tasks.models.budget import Budget, BudgetMonth
from tasks.models.budget_alert import BudgetAlert, BudgetAlertDue
from tasks.models.checkpoint import Checkpoint
from tasks.models.conversation import Conversation, ConversationItem, RemovedConversationItem
from tasks.models.file import File
from tasks.models.hold import Hold
from tasks.models.idempotency import IdempotencyKey
from tasks.models.invite import Invite
from tasks.models.job import Job, JobStatus
from tasks.models.ledger_entry import LedgerEntry
from tasks.models.membership import Membership
from tasks.models.model import Model
from tasks.models.organization import Organization
from tasks.models.price import Price
from tasks.models.project import Project
from tasks.models.rate_limit import RateLimit
from tasks.models.receipt import Receipt
from tasks.models.scheduler import Scheduler
from tasks.models.service_account import ServiceAccount
from tasks.models.spend import Spend
from tasks.models.stored_object import StoredObject
from tasks.models.upload import Upload, UploadPart, UploadStatus
from tasks.models.usage_sum import UsageDay, UsageHour
from tasks.models.user import User
from tasks.models.webhook import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from tasks.models.worker import Worker

__all__ = [
    "AdminKey",
    "ApiKey",
    "AuditEntry",
    "Base",
    "Batch",
    "BatchInvalidLine",
    "Budget",
    "BudgetAlert",
    "BudgetAlertDue",
    "BudgetMonth",
    "Checkpoint",
    "Conversation",
    "ConversationItem",
    "File",
    "Hold",
    "IdempotencyKey",
    "Invite",
    "Job",
    "JobStatus",
    "LedgerEntry",
    "Membership",
    "Model",
    "Organization",
    "Price",
    "Project",
    "RateLimit",
    "Receipt",
    "RemovedConversationItem",
    "Scheduler",
    "ServiceAccount",
    "Spend",
    "StoredObject",
    "Upload",
    "UploadPart",
    "UploadStatus",
    "UsageDay",
    "UsageHour",
    "User",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Worker",
]

"""What is refused, or goes wrong, about receipts."""

from tasks.errors import TokenmillError


class JobNotEnded(TokenmillError):
    """The job has not ended yet."""

    code = "job_not_ended"


class ReceiptNotFound(TokenmillError):
    """No such receipt."""

    code = "receipt_not_found"


class ReceiptNotReady(TokenmillError):
    """The receipt is being signed. Try again shortly."""

    code = "receipt_not_ready"


class ReceiptsNotConfigured(TokenmillError):
    """This platform signs no receipts: TOKENMILL_RECEIPT_KEY is not set."""

    code = "receipts_not_configured"


class ReceiptKeyInvalid(TokenmillError):
    """The key of receipts can't be used."""

    code = "receipt_key_invalid"


class ReceiptsDisagree(TokenmillError):
    """The receipts are not what was signed."""

    code = "receipts_disagree"

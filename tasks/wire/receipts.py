"""Receipts as the HTTP API shows them: what was signed, with its hash and signature."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from tasks.receipts.reading import SignedReceipt
from tasks.receipts.signing import PublicKey


class ReceiptBody(BaseModel):
    """A receipt. Hash and signature are of `receipt` in canonical JSON (RFC 8785)."""

    object: Literal["job.receipt"] = "job.receipt"
    receipt: dict[str, Any]
    sha256: str = Field(description="The next receipt of the project has it as `previous_sha256`.")
    signature: str = Field(description="Ed25519, in base64.")


class ReceiptKeyBody(BaseModel):
    """The public key that receipts are verified with."""

    object: Literal["receipt_key"] = "receipt_key"
    id: str = Field(description="As receipts have it in `key_id`.")
    algorithm: Literal["Ed25519"] = "Ed25519"
    public_key: str = Field(description="In PEM.")


def receipt_body(receipt: SignedReceipt) -> ReceiptBody:
    return ReceiptBody(receipt=receipt.content, sha256=receipt.sha256, signature=receipt.signature)


def receipt_key_body(key: PublicKey) -> ReceiptKeyBody:
    return ReceiptKeyBody(id=key.id, public_key=key.pem)

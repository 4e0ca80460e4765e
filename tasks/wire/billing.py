"""Money as the HTTP API shows it. Amounts are decimal strings, exact to the last digit."""

from typing import Literal

from pydantic import BaseModel, Field

from tasks.billing.entries import BilledEntry, EntryPage
from tasks.billing.verify import Verification
from tasks.pricing import usd_text


class LedgerEntryBody(BaseModel):
    """An entry of the ledger."""

    id: int
    object: Literal["billing.ledger_entry"] = "billing.ledger_entry"
    created_at: int
    kind: Literal["charge", "refund", "grant", "adjustment"]
    amount_usd: str = Field(description="What is owed more, or less where it is negative.")
    job_id: str | None
    batch_id: str | None
    api_key_id: str | None
    model: str | None
    service_tier: str | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    reason: str | None


class LedgerBody(BaseModel):
    """A page of a month's entries, oldest first."""

    object: Literal["list"] = "list"
    data: list[LedgerEntryBody]
    first_id: int | None
    last_id: int | None
    has_more: bool


class DifferenceBody(BaseModel):
    """The first thing that is wrong."""

    check: str = Field(description="For programs: what is wrong.")
    about: str = Field(description="The id of what it is wrong with.")
    message: str


class VerificationBody(BaseModel):
    """Whether charges, jobs, batches, holds and budgets agree."""

    object: Literal["billing.verification"] = "billing.verification"
    right: bool
    charges: int
    charged_usd: str
    prompt_tokens: int
    completion_tokens: int
    difference: DifferenceBody | None


def ledger_body(page: EntryPage) -> LedgerBody:
    ids = [entry.id for entry in page.items]
    return LedgerBody(
        data=[_entry(entry) for entry in page.items],
        first_id=ids[0] if ids else None,
        last_id=ids[-1] if ids else None,
        has_more=page.has_more,
    )


def verification_body(found: Verification) -> VerificationBody:
    wrong = found.difference
    return VerificationBody(
        right=found.right,
        charges=found.charges,
        charged_usd=usd_text(found.charged_usd),
        prompt_tokens=found.prompt_tokens,
        completion_tokens=found.completion_tokens,
        difference=None
        if wrong is None
        else DifferenceBody(check=wrong.check, about=wrong.about, message=wrong.message),
    )


def _entry(entry: BilledEntry) -> LedgerEntryBody:
    return LedgerEntryBody.model_validate(
        {
            **{name: getattr(entry, name) for name in _AS_THEY_ARE},
            "created_at": int(entry.created_at.timestamp()),
            "amount_usd": usd_text(entry.amount_usd),
        }
    )


_AS_THEY_ARE = (
    *("id", "kind", "job_id", "batch_id", "api_key_id", "model", "service_tier"),
    *("prompt_tokens", "cached_tokens", "completion_tokens", "reason"),
)

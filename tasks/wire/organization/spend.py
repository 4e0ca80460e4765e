"""Spend limits and alerts of the admin API, in cents as OpenAI's client has them."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from tasks.budgets import BudgetRecord
from tasks.pages import Page
from tasks.spend_alerts import SpendAlert
from tasks.wire.fields import Strict
from tasks.wire.organization.fields import Email, Name
from tasks.wire.organization.pages import ListBody, list_values

_CENT = Decimal("0.01")
_MOST_CENTS = 10**13
Scope = Literal["organization", "project"]


class _Spend(Strict):
    currency: Literal["USD"]
    interval: Literal["month"]


class SpendLimitRequest(_Spend):
    """What may be spent in a month."""

    threshold_amount: Annotated[int, Field(ge=0, le=_MOST_CENTS, description="In cents.")]

    @property
    def threshold_usd(self) -> Decimal:
        return self.threshold_amount * _CENT


class SpendChannel(Strict):
    """Who is told."""

    type: Literal["email"]
    recipients: list[Email] = Field(min_length=1, max_length=100)
    subject_prefix: Name | None = None


class SpendAlertRequest(_Spend):
    """Whom to tell once so much was spent in a month."""

    threshold_amount: Annotated[int, Field(ge=1, le=_MOST_CENTS, description="In cents.")]
    notification_channel: SpendChannel

    @property
    def threshold_usd(self) -> Decimal:
        return self.threshold_amount * _CENT


class EnforcementBody(BaseModel):
    """Whether the limit refuses what costs anything right now."""

    status: Literal["inactive", "enforcing"]


class SpendLimitBody(BaseModel):
    """A hard monthly limit."""

    object: Literal["organization.spend_limit", "project.spend_limit"]
    currency: Literal["USD"] = "USD"
    interval: Literal["month"] = "month"
    threshold_amount: int = Field(description="In whole cents.")
    enforcement: EnforcementBody


class SpendLimitDeleted(BaseModel):
    """There is no such limit any more."""

    object: Literal["organization.spend_limit.deleted", "project.spend_limit.deleted"]
    deleted: Literal[True] = True


class SpendChannelBody(BaseModel):
    """Who is told."""

    type: Literal["email"] = "email"
    recipients: list[str]
    subject_prefix: str | None


class SpendAlertBody(BaseModel):
    """An alert."""

    id: str
    object: Literal["organization.spend_alert", "project.spend_alert"]
    currency: Literal["USD"] = "USD"
    interval: Literal["month"] = "month"
    threshold_amount: int = Field(description="In whole cents.")
    tokenmill_percent: int | None = Field(description="Of the limit, where the alert was set so.")
    notification_channel: SpendChannelBody


class SpendAlertListBody(ListBody[SpendAlertBody]):
    """A page of alerts."""


class SpendAlertDeleted(BaseModel):
    """Nobody is told any more."""

    id: str
    object: Literal["organization.spend_alert.deleted", "project.spend_alert.deleted"]
    deleted: Literal[True] = True


SPEND_LIMIT: TypeAdapter[SpendLimitRequest] = TypeAdapter(SpendLimitRequest)
SPEND_ALERT: TypeAdapter[SpendAlertRequest] = TypeAdapter(SpendAlertRequest)


def scope_of(project_id: str | None) -> Scope:
    return "organization" if project_id is None else "project"


def spend_limit_body(budget: BudgetRecord) -> SpendLimitBody:
    values = {
        "object": f"{budget.subject.kind}.spend_limit",
        "threshold_amount": _cents(budget.hard_usd),
        "enforcement": EnforcementBody(status="enforcing" if budget.exhausted else "inactive"),
    }
    return SpendLimitBody.model_validate(values)


def spend_alert_body(scope: Scope, alert: SpendAlert) -> SpendAlertBody:
    channel = SpendChannelBody(recipients=alert.recipients, subject_prefix=alert.subject_prefix)
    values = {
        "id": alert.id,
        "object": f"{scope}.spend_alert",
        "threshold_amount": _cents(alert.threshold_usd),
        "tokenmill_percent": alert.percent,
        "notification_channel": channel,
    }
    return SpendAlertBody.model_validate(values)


def spend_alert_list_body(scope: Scope, page: Page[SpendAlert]) -> SpendAlertListBody:
    return SpendAlertListBody(**list_values(page, lambda alert: spend_alert_body(scope, alert)))


def spend_limit_deleted(scope: Scope) -> SpendLimitDeleted:
    return SpendLimitDeleted.model_validate({"object": f"{scope}.spend_limit.deleted"})


def spend_alert_deleted(scope: Scope, alert_id: str) -> SpendAlertDeleted:
    return SpendAlertDeleted.model_validate({"id": alert_id, "object": f"{scope}.spend_alert.deleted"})


def _cents(amount_usd: Decimal | None) -> int:
    """Whole ones; an alert at a share of a limit that is not set has none."""
    return 0 if amount_usd is None else int(amount_usd / _CENT)

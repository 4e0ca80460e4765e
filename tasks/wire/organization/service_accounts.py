"""Service accounts of the admin API, and the keys that are made for them."""

from typing import Literal, Self

from pydantic import BaseModel, Field, TypeAdapter, model_validator

from tasks.pages import Page
from tasks.project_keys import NewProjectKey
from tasks.roles import Role
from tasks.service_accounts import ServiceAccountRecord
from tasks.wire.fields import NonEmpty, Strict
from tasks.wire.organization.fields import LifetimeSeconds, Name, unix_seconds, unix_seconds_or_none
from tasks.wire.organization.pages import ListBody, list_values
from tasks.wire.organization.roles import OurRole, ProjectRole, ProjectWord, project_word


class ServiceAccountCreateRequest(Strict):
    """A new service account."""

    name: Name
    create_service_account_only: bool | None = Field(None, description="Without a role and a key.")
    expires_in_seconds: LifetimeSeconds | None = Field(None, description="Of its first key.")

    @model_validator(mode="after")
    def _expiry_of_a_key(self) -> Self:
        if self.create_service_account_only and self.expires_in_seconds is not None:
            raise ValueError("without a key there is nothing to expire")
        return self


class ServiceAccountUpdateRequest(Strict):
    """Another name or role."""

    name: Name | None = None
    role: ProjectRole | None = None


class ServiceAccountKeyRequest(Strict):
    """One more key of a service account's."""

    name: Name | None = None
    scopes: list[NonEmpty] | None = Field(
        None, max_length=100, description="No more than the account's role may do; that, where none is given."
    )
    expires_in_seconds: LifetimeSeconds | None = None


class ServiceAccountKeyBody(BaseModel):
    """A new key. Its value is shown this once."""

    id: str
    object: Literal["organization.project.service_account.api_key"] = (
        "organization.project.service_account.api_key"
    )
    name: str
    created_at: int
    expires_at: int | None
    value: str


class ServiceAccountBody(BaseModel):
    """A service account."""

    id: str
    object: Literal["organization.project.service_account"] = "organization.project.service_account"
    name: str
    role: ProjectWord | Literal["none"]
    tokenmill_role: OurRole
    created_at: int


class ServiceAccountCreated(ServiceAccountBody):
    """A new service account with its first key."""

    api_key: ServiceAccountKeyBody | None


class ServiceAccountListBody(ListBody[ServiceAccountBody]):
    """A page of service accounts."""


class ServiceAccountDeleted(BaseModel):
    """A service account is no more."""

    id: str
    object: Literal["organization.project.service_account.deleted"] = (
        "organization.project.service_account.deleted"
    )
    deleted: Literal[True] = True


SERVICE_ACCOUNT_CREATE: TypeAdapter[ServiceAccountCreateRequest] = TypeAdapter(ServiceAccountCreateRequest)
SERVICE_ACCOUNT_UPDATE: TypeAdapter[ServiceAccountUpdateRequest] = TypeAdapter(ServiceAccountUpdateRequest)
SERVICE_ACCOUNT_KEY: TypeAdapter[ServiceAccountKeyRequest] = TypeAdapter(ServiceAccountKeyRequest)


def service_account_body(account: ServiceAccountRecord) -> ServiceAccountBody:
    role = None if account.role is None else Role(account.role)
    return ServiceAccountBody(
        id=account.id,
        name=account.name,
        role="none" if role is None else project_word(role),
        tokenmill_role=role,
        created_at=unix_seconds(account.created_at),
    )


def service_account_key_body(key: NewProjectKey) -> ServiceAccountKeyBody:
    return ServiceAccountKeyBody(
        id=key.id,
        name=key.name,
        created_at=unix_seconds(key.created_at),
        expires_at=unix_seconds_or_none(key.expires_at),
        value=key.secret,
    )


def service_account_created(
    account: ServiceAccountRecord, key: NewProjectKey | None
) -> ServiceAccountCreated:
    shown = service_account_body(account).model_dump()
    return ServiceAccountCreated(**shown, api_key=None if key is None else service_account_key_body(key))


def service_account_list_body(page: Page[ServiceAccountRecord]) -> ServiceAccountListBody:
    return ServiceAccountListBody(**list_values(page, service_account_body))

"""Keys of the admin API itself."""

from typing import Literal

from pydantic import BaseModel, TypeAdapter

from tasks.admin_keys import AdminKeyRecord
from tasks.pages import Page
from tasks.roles import Role
from tasks.wire.fields import Strict
from tasks.wire.organization.fields import LifetimeSeconds, Name, unix_seconds, unix_seconds_or_none
from tasks.wire.organization.pages import ListBody, list_values
from tasks.wire.organization.roles import OrganizationWord, organization_word


class AdminKeyCreateRequest(Strict):
    """A new admin key of one's own."""

    name: Name
    expires_in_seconds: LifetimeSeconds | None = None


class AdminKeyOwnerBody(BaseModel):
    """Whose an admin key is; the operator's, where it has no id."""

    type: Literal["user"] = "user"
    object: Literal["organization.user"] = "organization.user"
    id: str | None
    name: str | None
    role: OrganizationWord
    created_at: int | None


class AdminKeyBody(BaseModel):
    """An admin key."""

    id: str
    object: Literal["organization.admin_api_key"] = "organization.admin_api_key"
    name: str
    redacted_value: str
    owner: AdminKeyOwnerBody
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class AdminKeyCreated(AdminKeyBody):
    """A new admin key. Its value is shown this once."""

    value: str


class AdminKeyListBody(ListBody[AdminKeyBody]):
    """A page of admin keys."""


class AdminKeyDeleted(BaseModel):
    """An admin key is no more."""

    id: str
    object: Literal["organization.admin_api_key.deleted"] = "organization.admin_api_key.deleted"
    deleted: Literal[True] = True


ADMIN_KEY_CREATE: TypeAdapter[AdminKeyCreateRequest] = TypeAdapter(AdminKeyCreateRequest)


def admin_key_body(key: AdminKeyRecord) -> AdminKeyBody:
    role = Role.OWNER if key.user_role is None else Role(key.user_role)
    return AdminKeyBody(
        id=key.id,
        name=key.name,
        redacted_value=f"{key.prefix}…",
        owner=AdminKeyOwnerBody(
            id=key.user_id,
            name=key.user_name,
            role=organization_word(role),
            created_at=unix_seconds_or_none(key.user_created_at),
        ),
        created_at=unix_seconds(key.created_at),
        expires_at=unix_seconds_or_none(key.expires_at),
        last_used_at=unix_seconds_or_none(key.last_used_at),
    )


def admin_key_created(key: AdminKeyRecord, secret: str) -> AdminKeyCreated:
    return AdminKeyCreated(**admin_key_body(key).model_dump(), value=secret)


def admin_key_list_body(page: Page[AdminKeyRecord]) -> AdminKeyListBody:
    return AdminKeyListBody(**list_values(page, admin_key_body))

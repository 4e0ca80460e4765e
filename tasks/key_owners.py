"""Whose a project's key is, and what that leaves of it: a key is never good for more than its owner."""

from sqlalchemy import ColumnElement, case, literal, select

from tasks.models import ApiKey, Membership, Project, ServiceAccount
from tasks.roles import Role, within


def owner_role() -> ColumnElement[str | None]:
    """The role that a key's owner has in the project; null for one that has none, or is gone.

    A key that belongs to nobody was made by an operator, and is good for all that it says.
    """
    of_user = select(Membership.role).where(
        Membership.user_id == ApiKey.user_id, Membership.project_id == ApiKey.project_id
    )
    of_account = select(ServiceAccount.role).where(
        ServiceAccount.id == ApiKey.service_account_id, ServiceAccount.deleted_at.is_(None)
    )
    return case(
        (ApiKey.user_id.is_not(None), of_user.correlate(ApiKey).scalar_subquery()),
        (ApiKey.service_account_id.is_not(None), of_account.correlate(ApiKey).scalar_subquery()),
        else_=literal(Role.OWNER.value),
    )


def owner_has_access() -> ColumnElement[bool]:
    """Whether a key's owner has a role in its project, and the project is not archived."""
    archived = select(Project.archived_at).where(Project.id == ApiKey.project_id)
    return archived.correlate(ApiKey).scalar_subquery().is_(None) & owner_role().is_not(None)


def limited(scopes: list[str], role: str) -> frozenset[str]:
    """What a key's scopes come to in the hands of its owner."""
    return within(Role(role), scopes)

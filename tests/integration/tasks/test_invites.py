"""How people come in."""

from datetime import timedelta

import pytest
from sqlalchemy import func, update

from tasks import invites, memberships, projects, users
from tasks.actor import OPERATOR
from tasks.db import transaction
from tasks.errors import InviteNotFound, ProjectArchived, ProjectNotFound, UserAlreadyThere
from tasks.invites import ProjectInvite
from tasks.models import Invite
from tasks.pages import PageFilter
from tasks.roles import Role

EMAIL = "ana@example.com"
PAGE = PageFilter()


def let_expire() -> None:
    with transaction() as connection:
        connection.execute(update(Invite).values(expires_at=func.now() - timedelta(seconds=1)))


def test_address_is_the_same_however_it_is_written() -> None:
    invites.invite(OPERATOR, "Ana@Example.com", Role.VIEWER)
    with pytest.raises(UserAlreadyThere) as twice:
        invites.invite(OPERATOR, EMAIL, Role.VIEWER)
    assert twice.value.code == "already_invited"
    user = invites.accept(OPERATOR, EMAIL.upper(), "Ana")
    assert (user.email, user.role) == ("Ana@Example.com", Role.VIEWER)
    with pytest.raises(UserAlreadyThere):
        invites.invite(OPERATOR, EMAIL, Role.VIEWER)
    with pytest.raises(UserAlreadyThere):
        users.create_user(OPERATOR, EMAIL, "Ana", Role.VIEWER)


def test_invitation_lets_in_once_and_only_while_it_is_open() -> None:
    invites.invite(OPERATOR, EMAIL, Role.VIEWER)
    let_expire()
    assert invites.list_invites(OPERATOR, PAGE).items[0].status == "expired"
    with pytest.raises(InviteNotFound):
        invites.accept(OPERATOR, EMAIL, "Ana")
    again = invites.invite(OPERATOR, EMAIL, Role.VIEWER)
    assert [invite.id for invite in invites.list_invites(OPERATOR, PAGE).items] == [again.id]
    invites.accept(OPERATOR, EMAIL, "Ana")
    with pytest.raises(InviteNotFound):
        invites.accept(OPERATOR, EMAIL, "Ana")
    with pytest.raises(InviteNotFound):
        invites.delete_invite(OPERATOR, again.id)


def test_projects_of_an_invitation_must_be_there_but_may_be_archived_before_it_is_accepted() -> None:
    kept, gone = projects.create_project("kept").id, projects.create_project("gone").id
    both = [ProjectInvite(kept, Role.DEVELOPER), ProjectInvite(gone, Role.DEVELOPER)]
    with pytest.raises(ProjectNotFound):
        invites.invite(OPERATOR, EMAIL, Role.VIEWER, [ProjectInvite("proj_none", Role.DEVELOPER)])
    invites.invite(OPERATOR, EMAIL, Role.VIEWER, both)
    projects.archive_project(OPERATOR, gone)
    with pytest.raises(ProjectArchived):
        invites.invite(OPERATOR, "bo@example.com", Role.VIEWER, both)
    user = invites.accept(OPERATOR, EMAIL, "Ana")
    assert [member.id for member in memberships.list_members(OPERATOR, kept, PAGE).items] == [user.id]
    assert memberships.list_members(OPERATOR, gone, PAGE).items == []

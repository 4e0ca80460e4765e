"""Bearers of tokens on a real Postgres."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tasks import identities, keys, projects
from tasks.actor import OPERATOR
from tasks.admission import Submission
from tasks.errors import AuthenticationFailed, KeyNotFound, PermissionDenied
from tasks.keys import Principal
from tasks.scopes import SCOPES_OF_ROLES
from tasks.settings import settings
from tests.unit.tasks.issuer import AUDIENCE, Issuer, running_issuer


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with running_issuer() as running:
        monkeypatch.setenv("TOKENMILL_OIDC_ISSUER", running.url)
        monkeypatch.setenv("TOKENMILL_OIDC_AUDIENCE", AUDIENCE)
        settings.cache_clear()
        yield running


@pytest.fixture
def project_id() -> str:
    return projects.create_project("acme").id


def bearer(issuer: Issuer, **claims: Any) -> Principal:
    return keys.authenticate(issuer.token("ec", **{"project": "acme", "role": "developer"} | claims))


def test_identity_gets_one_row_on_its_first_use(issuer: Issuer, project_id: str) -> None:
    first = bearer(issuer)
    identities._cache.clear()
    again = bearer(issuer, role="viewer", project=project_id)
    other = bearer(issuer, sub="grace")
    assert (first.project_id, first.user_id, first.role) == (project_id, "ada", "developer")
    assert again.api_key_id == first.api_key_id != other.api_key_id
    assert again.scopes == SCOPES_OF_ROLES["viewer"]
    listed = {key.subject: (key.prefix, key.issuer) for key in keys.list_keys(project_id)}
    assert listed == {"ada": (None, issuer.url), "grace": (None, issuer.url)}


def test_identity_submits_and_is_billed_like_a_key(
    issuer: Issuer, project_id: str, submit_job: Callable[..., Submission]
) -> None:
    principal = bearer(issuer)
    assert submit_job(by=principal).job.project_id == project_id


def test_row_of_an_identity_is_no_key(issuer: Issuer, project_id: str) -> None:
    principal = bearer(issuer)
    for token in (principal.api_key_id, "", "None", "tm-"):
        with pytest.raises(AuthenticationFailed):
            keys.authenticate(token)
    with pytest.raises(KeyNotFound):
        keys.rotate_key(principal.api_key_id)


def test_identity_that_is_revoked_is_shut_out(issuer: Issuer, project_id: str) -> None:
    keys.revoke_key(bearer(issuer).api_key_id)
    identities._cache.clear()
    with pytest.raises(PermissionDenied) as refused:
        bearer(issuer)
    assert refused.value.code == "identity_revoked"


def test_project_that_does_not_exist_is_refused(issuer: Issuer, project_id: str) -> None:
    with pytest.raises(PermissionDenied) as refused:
        bearer(issuer, project="nowhere")
    assert refused.value.code == "no_project"


def test_archived_project_takes_no_tokens(issuer: Issuer, project_id: str) -> None:
    bearer(issuer)
    projects.archive_project(OPERATOR, project_id)
    identities._cache.clear()
    with pytest.raises(PermissionDenied) as refused:
        bearer(issuer)
    assert refused.value.code == "no_project"


def test_name_that_two_projects_have_names_none(issuer: Issuer, project_id: str) -> None:
    projects.create_project("acme")
    with pytest.raises(PermissionDenied) as refused:
        bearer(issuer)
    assert refused.value.code == "no_project"
    assert bearer(issuer, project=project_id).project_id == project_id


def test_without_an_issuer_a_token_is_a_wrong_key(
    issuer: Issuer, project_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issuer.token(project="acme", role="owner")
    monkeypatch.delenv("TOKENMILL_OIDC_ISSUER")
    settings.cache_clear()
    with pytest.raises(AuthenticationFailed) as refused:
        keys.authenticate(token)
    assert refused.value.code == "invalid_api_key"

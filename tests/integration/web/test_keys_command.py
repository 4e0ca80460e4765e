"""`tokenmill keys` on a real Postgres."""

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tasks import keys, projects
from tasks.errors import AuthenticationFailed
from tasks.keys import KeyRecord
from web.cli import cli

pytestmark = pytest.mark.usefixtures("acme")


@pytest.fixture
def acme() -> str:
    return projects.create_project("acme").id


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["keys", *arguments], prog_name="tokenmill")


def create(*arguments: str) -> dict[str, Any]:
    made = run("create", "--project", "acme", "--json", *arguments)
    assert made.exit_code == 0, made.output
    value: dict[str, Any] = json.loads(made.stdout)
    return value


def only(project_id: str) -> KeyRecord:
    (key,) = keys.list_keys(project_id)
    return key


def test_terms_of_a_new_key_are_kept_and_listed(acme: str) -> None:
    create(
        *("--scope", "chat:write", "--model", "smollm2", "--from", "10.0.0.0/8"),
        *("--expires-in-days", "3", "--signed", "--name", "bot"),
    )
    key = only(acme)
    assert (key.scopes, key.models, key.networks) == (
        ["chat:write"],
        ["smollm2-135m-instruct"],
        ["10.0.0.0/8"],
    )
    assert key.must_sign
    assert key.expires_at is not None
    listed = run("list", "--project", "acme").output
    for shown in ("bot", "chat:write", "signed", "10.0.0.0/8", "expires"):
        assert shown in listed, listed


def test_rotated_key_prints_its_new_secret(acme: str) -> None:
    made = create()
    rotated = run("rotate", made["id"], "--overlap-hours", "0")
    assert keys.authenticate(rotated.stdout.strip()).api_key_id == made["id"]
    with pytest.raises(AuthenticationFailed):
        keys.authenticate(made["secret"])


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("create", "--project", "acme", "--scope", "everything"), "'everything'"),
        (("create", "--project", "acme", "--from", "home"), "'home'"),
        (("create", "--project", "acme", "--model", "gpt-9"), "'gpt-9'"),
        (("create", "--project", "acme", "--expires-in-days", "0"), "0"),
        (("create", "--project", "acme", "--expires-in-days", "1e12"), "too many"),
        (("create", "--project", "acme", "--name", "a\x1b[2J"), "printable"),
        (("create", "--project", "nowhere"), "'nowhere'"),
        (("rotate", "key_none"), "No such API key"),
        (("revoke", "key_none"), "No such API key"),
    ],
)
def test_what_can_not_be_done_is_said(arguments: tuple[str, ...], why: str) -> None:
    refused = run(*arguments)
    assert refused.exit_code in {1, 2}
    assert why in refused.stderr
    assert "Traceback" not in refused.output

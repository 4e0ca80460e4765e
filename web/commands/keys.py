"""`tokenmill keys`."""

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from tasks.scopes import SCOPES
from web.commands.table import table

if TYPE_CHECKING:
    from tasks.keys import CreatedKey, KeyRecord

_DEFAULT_OVERLAP_HOURS = 24.0


@click.group(short_help="Create, list, rotate and revoke API keys.")
def keys() -> None:
    """Create, list, rotate and revoke API keys."""


@keys.command()
@click.option("--project", required=True, metavar="NAME|ID", help="Whose key it will be.")
@click.option("--name", default="key", show_default=True, help="What to call it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("read", "write"),
    metavar="SCOPE",
    help="read, write, or of one resource, such as chat:write; may be given again. Default: everything.",
)
@click.option(
    "--model", "models", multiple=True, help="A model it may use; may be given again. Default: all."
)
@click.option(
    "--from",
    "networks",
    multiple=True,
    metavar="CIDR",
    help="An address or network it may be used from; may be given again. Default: everywhere.",
)
@click.option("--expires-in-days", type=click.FloatRange(min=0, min_open=True), help="Default: never.")
@click.option("--signed", is_flag=True, help="Refuse requests that are not signed with it.")
@click.option("--json", "as_json", is_flag=True, help="Print an object with id, project_id and secret.")
def create(
    project: str,
    name: str,
    scopes: tuple[str, ...],
    models: tuple[str, ...],
    networks: tuple[str, ...],
    expires_in_days: float | None,
    signed: bool,
    as_json: bool,
) -> None:
    """Create a key and print its secret, this once: it can't be shown again.

    \b
    Examples:
      tokenmill keys create --project acme
      tokenmill keys create --project acme --name ci --expires-in-days 30 --json
      tokenmill keys create --project acme --name dashboard --scope read --from 10.0.0.0/8
      tokenmill keys create --project acme --scope chat:write --model smollm2 --signed
    """
    from tasks.keys import KeyTerms, create_key
    from tasks.projects import find_project

    terms = KeyTerms(
        models=models or None,
        networks=networks or None,
        expires_at=None if expires_in_days is None else _in_days(expires_in_days),
        must_sign=signed,
    )
    project_id = find_project(project).id
    _show(create_key(project_id, name, scopes, terms), project_id, as_json)


@keys.command("list")
@click.option("--project", required=True, metavar="NAME|ID")
def list_command(project: str) -> None:
    """List a project's keys, revoked ones too, and the bearers of tokens that it has seen."""
    from tasks.keys import list_keys
    from tasks.projects import find_project

    rows = [
        (
            key.id,
            key.name,
            f"{key.prefix}…" if key.prefix else "by token",
            " ".join(key.scopes),
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "",
            _remarks(key),
        )
        for key in list_keys(find_project(project).id)
    ]
    click.echo(table(("ID", "NAME", "KEY", "SCOPES", "CREATED", "LAST USED", ""), rows))


@keys.command()
@click.argument("key_id")
@click.option(
    "--overlap-hours",
    type=click.FloatRange(min=0, max=30 * 24),
    default=_DEFAULT_OVERLAP_HOURS,
    show_default=True,
    help="How long the old secret stays good.",
)
@click.option("--json", "as_json", is_flag=True, help="Print an object with id and secret.")
def rotate(key_id: str, overlap_hours: float, as_json: bool) -> None:
    """Give a key a new secret and print it, this once. The old one stays good for a while.

    The key keeps its id, its prefix and everything else. Secrets from before the old one stop at once.
    """
    from tasks.keys import rotate_key

    _show(rotate_key(key_id, overlap_hours * 3600), None, as_json)


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key: it stops working within a second. A bearer of tokens is shut out the same way."""
    from tasks.keys import revoke_key

    revoke_key(key_id)
    click.echo(f"{key_id} is revoked.")


def _show(created: "CreatedKey", project_id: str | None, as_json: bool) -> None:
    if as_json:
        shown = {"id": created.id, "project_id": project_id, "secret": created.secret}
        click.echo(json.dumps({name: value for name, value in shown.items() if value is not None}))
        return
    click.echo(created.secret)
    click.echo(f"Keep it safe: it is not shown again. Its id is {created.id}.", err=True)


def _in_days(days: float) -> datetime:
    try:
        return datetime.now(UTC) + timedelta(days=days)
    except OverflowError:
        raise click.BadParameter(f"{days:g} days are too many.", param_hint="--expires-in-days") from None


def _remarks(key: "KeyRecord") -> str:
    now = datetime.now(UTC)
    remarks = [
        "revoked" if key.revoked_at else "",
        f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at and key.expires_at > now else "",
        "expired" if key.expires_at and key.expires_at <= now else "",
        "rotating" if key.previous_until and key.previous_until > now else "",
        "signed" if key.must_sign else "",
        "models " + " ".join(key.models) if key.models else "",
        "from " + " ".join(key.networks) if key.networks else "",
    ]
    return ", ".join(filter(None, remarks))

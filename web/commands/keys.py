"""`tokenmill keys`."""

import json

import click

from web.commands.table import table

# Those of tasks.keys, which takes too long to import for a `--help`.
SCOPES = ("read", "write")


@click.group(short_help="Create, list and revoke API keys.")
def keys() -> None:
    """Create, list and revoke API keys."""


@keys.command()
@click.option("--project", required=True, metavar="NAME|ID", help="Whose key it will be.")
@click.option("--name", default="key", show_default=True, help="What to call it.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=SCOPES,
    help="What it is good for; may be given again. Everything, where none is given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print an object with id, project_id and secret.")
def create(project: str, name: str, scopes: tuple[str, ...], as_json: bool) -> None:
    """Create a key and print its secret, this once: it can't be shown again.

    \b
    Examples:
      tokenmill keys create --project acme
      tokenmill keys create --project acme --name ci --json
      tokenmill keys create --project acme --name dashboard --scope read
    """
    from tasks.keys import create_key
    from tasks.projects import find_project

    project_id = find_project(project).id
    created = create_key(project_id, name, scopes)
    if as_json:
        click.echo(json.dumps({"id": created.id, "project_id": project_id, "secret": created.secret}))
        return
    click.echo(created.secret)
    click.echo(f"Keep it safe: it is not shown again. Its id is {created.id}.", err=True)


@keys.command("list")
@click.option("--project", required=True, metavar="NAME|ID")
def list_command(project: str) -> None:
    """List a project's keys, revoked ones too."""
    from tasks.keys import list_keys
    from tasks.projects import find_project

    rows = [
        (
            key.id,
            key.name,
            f"{key.prefix}…",
            " ".join(key.scopes),
            f"{key.created_at:%Y-%m-%d %H:%M}",
            "revoked" if key.revoked_at else "",
        )
        for key in list_keys(find_project(project).id)
    ]
    click.echo(table(("ID", "NAME", "KEY", "SCOPES", "CREATED", ""), rows))


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke a key: it stops working within a second."""
    from tasks.keys import revoke_key

    revoke_key(key_id)
    click.echo(f"{key_id} is revoked.")

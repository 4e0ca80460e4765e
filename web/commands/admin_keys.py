"""`tokenmill admin-keys`."""

import click

from web.commands.table import table


@click.group("admin-keys", short_help="Create, list and revoke keys of the admin API.")
def admin_keys() -> None:
    """Create, list and revoke keys of the admin API, /v1/organization. They are good for nothing else."""


@admin_keys.command()
@click.option("--name", default="admin", show_default=True, help="What to call it.")
@click.option("--user", "email", metavar="EMAIL", help="Whose it is: an owner or admin.  [default: nobody's]")
@click.option("--expires-in-days", type=click.IntRange(1, 3660), help="[default: never]")
def create(name: str, email: str | None, expires_in_days: int | None) -> None:
    """Create an admin key and print its secret, this once: it can't be shown again.

    One that belongs to a user stops when the user is no longer an owner or admin of the organization.

    \b
    Examples:
      tokenmill admin-keys create
      tokenmill admin-keys create --user ana@example.com --expires-in-days 90
    """
    from tasks.actor import OPERATOR
    from tasks.admin_keys import create_admin_key, create_admin_key_for

    seconds = None if expires_in_days is None else expires_in_days * 86_400
    if email is None:
        key, secret = create_admin_key(OPERATOR, name, seconds)
    else:
        key, secret = create_admin_key_for(OPERATOR, email, name, seconds)
    click.echo(secret)
    click.echo(f"Keep it safe: it is not shown again. Its id is {key.id}.", err=True)


@admin_keys.command("list")
def list_command() -> None:
    """List the admin keys that are not revoked, up to a thousand."""
    from tasks.actor import OPERATOR
    from tasks.admin_keys import list_admin_keys
    from tasks.pages import PageFilter

    rows = [
        (
            key.id,
            key.name,
            f"{key.prefix}…",
            key.user_name or "",
            f"{key.created_at:%Y-%m-%d %H:%M}",
            f"{key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "never",
        )
        for key in list_admin_keys(OPERATOR, PageFilter(limit=1000)).items
    ]
    click.echo(table(("ID", "NAME", "KEY", "OWNER", "CREATED", "EXPIRES"), rows))


@admin_keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """Revoke an admin key: it stops working within a second."""
    from tasks.actor import OPERATOR
    from tasks.admin_keys import revoke_admin_key

    revoke_admin_key(OPERATOR, key_id)
    click.echo(f"{key_id} is revoked.")

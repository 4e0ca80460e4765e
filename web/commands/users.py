"""`tokenmill users`."""

import click

from web.commands.table import table

# Those of tasks.roles, which takes too long to import for a `--help`.
ROLES = ("owner", "admin", "developer", "viewer", "end_user")


@click.group(short_help="Add, list and remove people, and give them keys.")
def users() -> None:
    """Add, list and remove the people of the organization, and give them keys of their own."""


@users.command()
@click.argument("email")
@click.option("--name", help="What to call them.  [default: the address]")
@click.option("--role", type=click.Choice(ROLES), default="viewer", show_default=True)
def add(email: str, name: str | None, role: str) -> None:
    """Add somebody to the organization, and print their id."""
    from tasks.actor import OPERATOR
    from tasks.roles import Role
    from tasks.users import create_user

    click.echo(create_user(OPERATOR, email, name or email, Role(role)).id)


@users.command()
@click.argument("email")
@click.option("--name", help="What to call them.  [default: the address]")
def accept(email: str, name: str | None) -> None:
    """Let somebody in who was invited, and print their id."""
    from tasks.actor import OPERATOR
    from tasks.invites import accept as accept_invite

    click.echo(accept_invite(OPERATOR, email, name or email).id)


@users.command("list")
def list_command() -> None:
    """List the people of the organization, up to a thousand."""
    from tasks.actor import OPERATOR
    from tasks.pages import PageFilter
    from tasks.users import list_users

    rows = [
        (user.id, user.email, user.name, user.role)
        for user in list_users(OPERATOR, PageFilter(limit=1000)).items
    ]
    click.echo(table(("ID", "EMAIL", "NAME", "ROLE"), rows))


@users.command()
@click.argument("user_id")
def remove(user_id: str) -> None:
    """Remove somebody from the organization and its projects: their keys stop within a second."""
    from tasks.actor import OPERATOR
    from tasks.users import delete_user

    delete_user(OPERATOR, user_id)
    click.echo(f"{user_id} is removed.")


@users.command()
@click.argument("email")
@click.option("--project", required=True, metavar="NAME|ID", help="Where they work.")
@click.option("--role", type=click.Choice(ROLES), default="developer", show_default=True)
def join(email: str, project: str, role: str) -> None:
    """Let somebody of the organization into a project."""
    from tasks.actor import OPERATOR
    from tasks.memberships import add_member
    from tasks.projects import find_project
    from tasks.roles import Role

    member = add_member(OPERATOR, find_project(project).id, Role(role), email=email)
    click.echo(f"{member.email} is {member.role} of {project}.")


@users.command("create-key")
@click.argument("email")
@click.option("--project", required=True, metavar="NAME|ID", help="A project that they belong to.")
@click.option("--name", default="key", show_default=True, help="What to call the key.")
@click.option("--scope", "scopes", multiple=True, help="May be given again.  [default: all that they may do]")
def create_key(email: str, project: str, name: str, scopes: tuple[str, ...]) -> None:
    """Create a key that is never good for more than its owner, and print its secret, this once."""
    from tasks.actor import OPERATOR
    from tasks.project_keys import create_user_key
    from tasks.projects import find_project

    key = create_user_key(OPERATOR, find_project(project).id, email, name, list(scopes))
    click.echo(key.secret)
    click.echo(f"Keep it safe: it is not shown again. Its id is {key.id}.", err=True)

"""`tokenmill projects`."""

from decimal import Decimal

import click

from web.commands.money import Usd
from web.commands.table import table


@click.group(short_help="Create, list and archive projects.")
def projects() -> None:
    """Create, list and archive projects: whoever has keys, jobs, a budget and a bill of their own."""


@projects.command()
@click.argument("name")
@click.option("--limit-usd", type=Usd(), help="What the project may spend in all.  [default: no limit]")
def create(name: str, limit_usd: Decimal | None) -> None:
    """Create a project and print its id.

    \b
    Examples:
      tokenmill projects create acme
      tokenmill projects create acme --limit-usd 25.00
    """
    from tasks.projects import create_project

    click.echo(create_project(name, limit_usd).id)


@projects.command("list")
def list_command() -> None:
    """List every project."""
    from tasks.projects import list_projects

    rows = [
        (project.id, project.name, "archived" if project.archived_at else "") for project in list_projects()
    ]
    click.echo(table(("ID", "NAME", ""), rows))


@projects.command()
@click.argument("project", metavar="NAME|ID")
def archive(project: str) -> None:
    """Archive a project for good: its keys stop, its jobs and its bill stay readable."""
    from tasks.actor import OPERATOR
    from tasks.projects import archive_project, find_project

    project_id = find_project(project).id
    archive_project(OPERATOR, project_id)
    click.echo(f"{project_id} is archived.")

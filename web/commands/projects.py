"""`tokenmill projects`."""

from decimal import Decimal

import click

from web.commands.money import Usd
from web.commands.table import table


@click.group(short_help="Create and list projects.")
def projects() -> None:
    """Create and list projects: whoever has keys, jobs, a budget and a bill of their own."""


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

    click.echo(table(("ID", "NAME"), [(project.id, project.name) for project in list_projects()]))

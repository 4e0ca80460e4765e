"""`tokenmill budgets`."""

from decimal import Decimal
from typing import TYPE_CHECKING

import click

from web.commands.money import Usd
from web.commands.table import table

if TYPE_CHECKING:
    from tasks.budget_subject import Subject

_SUBJECT = click.argument("subject", metavar="SUBJECT")


@click.group(short_help="Set what may be spent in a month, and who is told.")
def budgets() -> None:
    """Set what may be spent in a month, and who is told when it is.

    A SUBJECT is project:NAME|ID, key:ID or organization:ID. Months are in UTC.
    """


@budgets.command("set")
@_SUBJECT
@click.option("--hard-usd", type=Usd(), help="Nothing is admitted beyond.  [default: no limit]")
@click.option("--soft-usd", type=Usd(), help="Refuses nothing, and is told of.  [default: none]")
def set_command(subject: str, hard_usd: Decimal | None, soft_usd: Decimal | None) -> None:
    """Set a subject's limits for each month, in place of those that it had.

    \b
    Examples:
      tokenmill budgets set project:acme --hard-usd 500 --soft-usd 400
      tokenmill budgets set key:key_0199… --hard-usd 20
    """
    from tasks.budgets import set_budget

    set_budget(_subject(subject), hard_usd=hard_usd, soft_usd=soft_usd)


@budgets.command()
@_SUBJECT
def remove(subject: str) -> None:
    """Forget a subject's limits and alerts."""
    from tasks.budgets import remove_budget

    remove_budget(_subject(subject))


@budgets.command("list")
def list_command() -> None:
    """List every budget and how this month stands."""
    from tasks.budgets import list_budgets
    from tasks.pricing import usd_text

    rows = [
        (
            str(one.subject),
            "" if one.hard_usd is None else usd_text(one.hard_usd),
            "" if one.soft_usd is None else usd_text(one.soft_usd),
            usd_text(one.held_usd),
            usd_text(one.spent_usd),
        )
        for one in list_budgets()
    ]
    click.echo(table(("SUBJECT", "HARD", "SOFT", "HELD", "SPENT"), rows))


@budgets.command()
@click.argument("project")
@click.option("--off", is_flag=True, help="Let it spend first and pay later again.")
def prepaid(project: str, off: bool) -> None:
    """Have a project spend only what `tokenmill billing grant` has granted it."""
    from tasks.budgets import set_prepaid
    from tasks.projects import find_project

    set_prepaid(find_project(project).id, not off)


@budgets.command()
@_SUBJECT
@click.option("--percent", type=click.IntRange(1), help="Of the hard limit, or of the soft one without it.")
@click.option("--amount-usd", type=Usd(), help="Or an amount.")
@click.option("--mail", "recipients", multiple=True, help="An address to tell; may be given again.")
def alert(subject: str, percent: int | None, amount_usd: Decimal | None, recipients: tuple[str, ...]) -> None:
    """Have it told, once a month, when a subject's spending reaches a threshold.

    \b
    Example:
      tokenmill budgets alert project:acme --percent 80 --mail finance@example.com
    """
    from tasks.budget_alerts import add_alert

    click.echo(add_alert(_subject(subject), percent=percent, amount_usd=amount_usd, recipients=recipients))


def _subject(text: str) -> "Subject":
    from tasks.budget_subject import Subject, SubjectKind
    from tasks.projects import find_project

    try:
        subject = Subject.parse(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not project:…, key:… or organization:…") from error
    if subject.kind is SubjectKind.PROJECT:
        return Subject(subject.kind, find_project(subject.id).id)
    return subject

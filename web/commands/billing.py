"""`tokenmill billing`."""

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from web.commands.money import Usd
from web.commands.receipts import export_receipts, verify_receipts

if TYPE_CHECKING:
    from tasks.corrections import Correction

_MONTH = click.option("--month", metavar="YYYY-MM", help="[default: the present month, so far]")
_REASON = click.option("--reason", required=True, help="Why; it is kept with the entry.")
_KEY = click.option("--key", required=True, help="Names the entry: given again, nothing is entered twice.")


@click.group(short_help="Export, invoice, verify and correct the ledger.")
def billing() -> None:
    """Export, invoice, verify and correct the ledger. Months are in UTC."""


@billing.command()
@_MONTH
@click.option(
    "--format", "form", type=click.Choice(("csv", "jsonl", "parquet")), default="csv", show_default=True
)
@click.option("--focus", is_flag=True, help="The columns of FOCUS 1.1, a row for each kind of token.")
@click.option("--project", metavar="NAME|ID", help="[default: all of them]")
@click.option("-o", "--output", type=click.File("wb"), default="-", help="[default: standard output]")
def export(month: str | None, form: str, focus: bool, project: str | None, output: BinaryIO) -> None:
    """Write the ledger of a month. Takes no more memory for a million entries than for a few.

    \b
    Examples:
      tokenmill billing export --month 2026-11 > november.csv
      tokenmill billing export --month 2026-11 --format parquet --focus -o november.parquet
    """
    from tasks.billing.export import FORMATS
    from tasks.billing.export import export as pieces
    from tasks.billing.period import Period
    from tasks.projects import find_project

    known = next(one for one in FORMATS if one == form)
    project_id = None if project is None else find_project(project).id
    for piece in pieces(Period.parse_month(month), known, focus=focus, project_id=project_id):
        output.write(piece)


@billing.command()
@click.argument("project")
@_MONTH
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="[default: standard output]"
)
def invoice(project: str, month: str | None, output: Path | None) -> None:
    """Write a project's invoice as HTML, made to be printed: any browser makes a PDF of it.

    \b
    Example:
      tokenmill billing invoice acme --month 2026-11 -o acme.html
    """
    from tasks.billing.invoice import invoice as make
    from tasks.billing.period import Period
    from tasks.projects import find_project
    from web.invoice import invoice_html

    html = invoice_html(make(find_project(project), Period.parse_month(month)))
    if output is None:
        click.echo(html)
    else:
        output.write_text(html, encoding="utf-8")


@billing.command()
@click.option("--month", metavar="YYYY-MM", help="[default: everything]")
@click.option("--project", metavar="NAME|ID", help="[default: all of them]")
@click.option("--without-bodies", is_flag=True, help="Leave out what takes longest.")
def verify(month: str | None, project: str | None, without_bodies: bool) -> None:
    """Verify that ledger, jobs, bodies, batches, holds and budgets say the same.

    Changes nothing, and may be run at any time.

    \b
    Exit codes:
      0  they do
      1  they do not; the first difference is named
    """
    from tasks.billing.period import Period
    from tasks.billing.verify import verify as look
    from tasks.errors import BooksDisagree
    from tasks.pricing import usd_text
    from tasks.projects import find_project

    period = Period.always() if month is None else Period.parse_month(month)
    project_id = None if project is None else find_project(project).id
    found = look(period, project_id, read_bodies=not without_bodies, patient=True)
    if found.difference is not None:
        raise BooksDisagree(f"The books are wrong. {found.difference}")
    click.echo(
        f"The books are right: {found.charges} charges of {usd_text(found.charged_usd)} USD for "
        f"{found.prompt_tokens} prompt and {found.completion_tokens} output tokens; "
        f"{found.bodies} bodies say the same."
    )


@billing.command()
@click.argument("project")
@click.argument("amount_usd", type=Usd())
@_KEY
@_REASON
def grant(project: str, amount_usd: Decimal, key: str, reason: str) -> None:
    """Grant a project credit, which counts where it is prepaid.

    \b
    Example:
      tokenmill billing grant acme 250 --key invoice-17 --reason "paid on 2026-11-03"
    """
    from tasks import corrections

    _tell(corrections.grant(project, amount_usd, key=key, reason=reason))


@billing.command(context_settings={"ignore_unknown_options": True})
@click.argument("project")
@click.argument("amount_usd", type=Usd(signed=True))
@_KEY
@_REASON
def adjust(project: str, amount_usd: Decimal, key: str, reason: str) -> None:
    """Have a project owe more, or less where the amount is negative.

    \b
    Example:
      tokenmill billing adjust acme -12.50 --key outage-2026-11-02 --reason "as agreed after the outage"
    """
    from tasks import corrections

    _tell(corrections.adjust(project, amount_usd, key=key, reason=reason))


@billing.command()
@click.argument("job_id")
@_REASON
def refund(job_id: str, reason: str) -> None:
    """Take back what a job was charged; once, however often it is run."""
    from tasks import corrections

    _tell(corrections.refund(job_id, reason=reason))


billing.add_command(export_receipts)
billing.add_command(verify_receipts)


def _tell(entry: "Correction") -> None:
    from tasks.pricing import usd_text

    before = " It had been entered before." if entry.repeated else ""
    click.echo(f"{entry.business_key}: {usd_text(entry.amount_usd)} USD.{before}")

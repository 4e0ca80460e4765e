"""An invoice as a page to print."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from tasks.billing.invoice import Invoice
from tasks.pricing import usd_text


def invoice_html(invoice: Invoice) -> str:
    """Names and reasons are other people's words, so everything is escaped."""
    last_day = invoice.period.end - timedelta(days=1)
    return _template().render(invoice=invoice, last_day=last_day, printed_at=datetime.now(UTC))


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["usd"] = _usd
    environment.filters["number"] = _number
    return environment.get_template("invoice.html")


def _usd(amount: Decimal) -> str:
    """At least cents, and every digit that there is."""
    text = usd_text(amount)
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


def _number(count: int) -> str:
    return f"{count:,}"

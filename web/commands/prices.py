"""`tokenmill prices`."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from web.commands.money import Usd
from web.commands.table import table

if TYPE_CHECKING:
    from inference.catalog import ModelSpec

# Those of inference.catalog_prices, which takes too long to import for a `--help`.
TIERS = ("default", "priority", "flex", "batch")


@click.group(short_help="List and change what tokens cost.")
def prices() -> None:
    """List and change what a million tokens cost. What was admitted keeps the price it was admitted at."""


@prices.command("list")
@click.option("--model", help="[default: all of them]")
def list_command(model: str | None) -> None:
    """List every price there was, is and will be, the newest first."""
    from tasks.price_book import listed_prices
    from tasks.pricing import usd_text

    rows = [
        (
            one.model,
            one.service_tier,
            f"{one.effective_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            usd_text(one.prices.input_usd),
            usd_text(one.prices.cached_input_usd),
            usd_text(one.prices.output_usd),
            one.source,
        )
        for one in listed_prices(None if model is None else _spec(model).name)
    ]
    click.echo(table(("MODEL", "TIER", "FROM (UTC)", "INPUT", "CACHED", "OUTPUT", "BY"), rows))


@prices.command("set")
@click.argument("model")
@click.option(
    "--tier", "tiers", multiple=True, type=click.Choice(TIERS), default=("default",), show_default=True
)
@click.option("--input", "input_usd", type=Usd(), required=True, help="Of a million prompt tokens.")
@click.option("--cached-input", "cached_usd", type=Usd(), help="[default: as --input]")
@click.option("--output", "output_usd", type=Usd(), default=Decimal(0), show_default=True)
@click.option(
    "--from",
    "from_",
    type=click.DateTime(("%Y-%m-%d", "%Y-%m-%dT%H:%M:%S")),
    help="When it takes effect, in UTC.  [default: now]",
)
def set_command(
    model: str,
    tiers: tuple[str, ...],
    input_usd: Decimal,
    cached_usd: Decimal | None,
    output_usd: Decimal,
    from_: datetime | None,
) -> None:
    """Set what a million tokens cost, from now on or from a date.

    A change of the model's prices in the catalogue takes effect over it.

    \b
    Example:
      tokenmill prices set smollm2-135m-instruct --input 0.03 --output 0.12 --from 2026-12-01
    """
    from tasks.price_book import set_price
    from tasks.pricing import TokenPrices

    listed = TokenPrices(input_usd, input_usd if cached_usd is None else cached_usd, output_usd)
    moment = None if from_ is None else from_.replace(tzinfo=UTC)
    spec = _spec(model)
    for tier in tiers:
        set_price(spec, tier, listed, moment)
        click.echo(f"{spec.name}, {tier}: from {'now' if from_ is None else f'{from_} UTC'}.")


def _spec(model: str) -> "ModelSpec":
    from tasks.settings import settings

    return settings().model_catalog().get(model)

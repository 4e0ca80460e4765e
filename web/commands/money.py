"""Amounts and months as people type them."""

from decimal import Decimal, InvalidOperation

import click


class Usd(click.ParamType):
    """An exact amount of money."""

    name = "usd"

    def __init__(self, *, signed: bool = False) -> None:
        self._signed = signed

    def convert(
        self, value: str | Decimal, param: click.Parameter | None, ctx: click.Context | None
    ) -> Decimal:
        try:
            amount = Decimal(value)
        except InvalidOperation:
            self.fail(f"{value!r} is not an amount", param, ctx)
        if not amount.is_finite() or (amount < 0 and not self._signed):
            self.fail(f"{value!r} is not an amount", param, ctx)
        return amount

"""Tokens to dollars: pure, exact, nothing rounded."""

from dataclasses import dataclass
from decimal import Decimal

PER_MILLION = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class TokenPrices:
    """US dollars for a million tokens of each kind."""

    input_usd: Decimal
    cached_input_usd: Decimal
    output_usd: Decimal


def price(prices: TokenPrices, *, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> Decimal:
    """What a usage costs; ``cached_tokens`` are part of ``prompt_tokens`` and cost the cached price."""
    if not 0 <= cached_tokens <= prompt_tokens or completion_tokens < 0:
        raise ValueError(f"not a usage: {prompt_tokens=} {cached_tokens=} {completion_tokens=}")
    micro_usd = (
        (prompt_tokens - cached_tokens) * prices.input_usd
        + cached_tokens * prices.cached_input_usd
        + completion_tokens * prices.output_usd
    )
    return micro_usd * PER_MILLION


def hold_amount(prices: TokenPrices, *, prompt_tokens: int, max_tokens: int) -> Decimal:
    """The most a job can cost: no prompt token cached, every token it may generate."""
    dearest_input_usd = max(prices.input_usd, prices.cached_input_usd)
    return (prompt_tokens * dearest_input_usd + max_tokens * prices.output_usd) * PER_MILLION


def usd_text(amount: Decimal) -> str:
    """A plain decimal string without exponent or trailing zeros: ``0.000012``, ``0``, ``3.5``."""
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text

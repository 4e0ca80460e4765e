from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.pricing import TokenPrices, hold_amount, price, usd_text

usd = st.decimals(min_value=0, max_value=1000, places=6)
prices = st.builds(TokenPrices, usd, usd, usd)
tokens = st.integers(min_value=0, max_value=1_000_000)


def test_price_is_exact() -> None:
    book = TokenPrices(Decimal("0.15"), Decimal("0.075"), Decimal("0.6"))
    assert price(book, prompt_tokens=1000, cached_tokens=400, completion_tokens=10) == Decimal("0.000126")


@given(prices, tokens, tokens, tokens)
def test_hold_covers_whatever_the_job_turns_out_to_cost(
    book: TokenPrices, prompt: int, cached: int, completion: int
) -> None:
    held = hold_amount(book, prompt_tokens=prompt, max_tokens=completion)
    cost = price(book, prompt_tokens=prompt, cached_tokens=min(cached, prompt), completion_tokens=completion)
    assert 0 <= cost <= held


@given(prices, tokens, tokens)
def test_every_price_fits_the_columns_twelve_decimals(
    book: TokenPrices, prompt: int, completion: int
) -> None:
    cost = price(book, prompt_tokens=prompt, cached_tokens=0, completion_tokens=completion)
    assert cost == cost.quantize(Decimal("1e-12"))


def test_more_cached_tokens_than_prompt_is_no_usage() -> None:
    with pytest.raises(ValueError, match="not a usage"):
        price(TokenPrices(*[Decimal(1)] * 3), prompt_tokens=1, cached_tokens=2, completion_tokens=0)


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0E-12", "0"), ("0.000012000000", "0.000012"), ("3.5", "3.5"), ("100", "100"), ("1E+2", "100")],
)
def test_money_is_written_plainly(amount: str, text: str) -> None:
    assert usd_text(Decimal(amount)) == text

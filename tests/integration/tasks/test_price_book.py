"""Prices: from when they hold, and what they never change."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from inference.catalog import ModelSpec
from tasks import price_book
from tasks.admission import Submission
from tasks.billing.period import Period
from tasks.billing.verify import verify
from tasks.errors import InvalidRequest
from tasks.planning import find_model
from tasks.price_book import current_prices, listed_prices, set_price
from tasks.pricing import TokenPrices
from tests.integration.tasks.bookkeeping import CHARGE, change, finish, row
from tests.integration.tasks.conftest import MODEL

DEAR = TokenPrices(Decimal(20), Decimal(10), Decimal(80))


@pytest.fixture
def spec() -> ModelSpec:
    return find_model(MODEL)


def test_changed_price_changes_nothing_that_was_admitted(
    submit_job: Callable[..., Submission], spec: ModelSpec
) -> None:
    before = submit_job().job.id
    set_price(spec, "default", DEAR)
    after = submit_job().job.id
    finish(before)
    finish(after)
    for job_id, cost_usd in ((before, CHARGE), (after, CHARGE * 1000)):
        assert row("SELECT amount_usd FROM ledger_entries WHERE job_id = :id", id=job_id) == (cost_usd,)
    assert verify(Period.always()).right


def test_price_holds_from_its_date_on_and_in_its_tier(spec: ModelSpec) -> None:
    cheap = current_prices(spec)
    set_price(spec, "default", DEAR, datetime.now(UTC) + timedelta(days=1))
    assert current_prices(spec) == cheap
    change("UPDATE prices SET effective_at = now() WHERE source = 'operator'")
    price_book._cache.clear()
    assert current_prices(spec) == DEAR
    assert current_prices(spec, "batch").input_usd == cheap.input_usd / 2
    newest = listed_prices(MODEL)
    assert [(one.prices, one.source) for one in newest if one.service_tier == "default"] == [
        (DEAR, "operator"),
        (cheap, "catalogue"),
    ]


def test_start_of_a_process_leaves_an_operators_price(spec: ModelSpec) -> None:
    set_price(spec, "default", DEAR)
    for _ in range(2):
        price_book._synced.clear()
        price_book._cache.clear()
        assert current_prices(spec) == DEAR
    assert row("SELECT count(*) FROM prices WHERE service_tier = 'default'") == (2,)


def test_many_threads_look_at_the_catalogue_once(spec: ModelSpec) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: current_prices(spec), range(8)))
    assert len(set(found)) == 1
    assert row("SELECT count(*) FROM prices WHERE service_tier = 'default'") == (1,)


def test_price_that_makes_no_sense_is_refused(spec: ModelSpec) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    with pytest.raises(InvalidRequest, match="in the past"):
        set_price(spec, "default", DEAR, datetime.now(UTC) - timedelta(seconds=1))
    with pytest.raises(InvalidRequest, match="at most 6 decimals"):
        set_price(spec, "default", TokenPrices(Decimal("1e-7"), Decimal(1), Decimal(1)))
    with pytest.raises(InvalidRequest, match="not negative"):
        set_price(spec, "default", TokenPrices(Decimal(-1), Decimal(1), Decimal(1)))
    set_price(spec, "default", DEAR, tomorrow)
    with pytest.raises(InvalidRequest, match="already"):
        set_price(spec, "default", DEAR, tomorrow)

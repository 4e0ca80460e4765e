"""Which prices hold when. Rows are added, never changed, so what was admitted keeps its price."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from time import monotonic
from typing import Any

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from inference.catalog import ModelSpec
from inference.catalog_prices import TIERS
from tasks import actor, audit
from tasks.db import transaction
from tasks.errors import InvalidRequest
from tasks.ids import new_id
from tasks.models import Model, Price
from tasks.pricing import TokenPrices, usd_text

_SYNC_LOCK = 7_270_012
_CACHE_SECONDS = 5.0
# So that what a token costs is exact in the ledger's twelve.
_DECIMALS = 6
CATALOGUE, OPERATOR = "catalogue", "operator"

_cache: dict[tuple[str, str], tuple[float, TokenPrices]] = {}
_synced: set[str] = set()
# A process that starts under load needs one look at the catalogue, not one for each of its threads.
_syncing = threading.Lock()


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """A row of the price book."""

    model: str
    service_tier: str
    prices: TokenPrices
    effective_at: datetime
    source: str


def current_prices(spec: ModelSpec, tier: str = "default") -> TokenPrices:
    """The prices in effect for a model and a tier, at most five seconds old. Raises DatabaseUnavailable."""
    cached = _cache.get((spec.name, tier))
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    if spec.name not in _synced:
        sync(spec)
    with transaction() as connection:
        prices = _latest(connection, spec.name, tier)
    if prices is None:
        raise LookupError(f"no price in effect for {spec.name}")
    _cache[spec.name, tier] = (monotonic() + _CACHE_SECONDS, prices)
    return prices


def sync(spec: ModelSpec) -> None:
    """Bring the tables in line with the catalogue's entry, once in a process. Raises DatabaseUnavailable."""
    with _syncing:
        if spec.name in _synced:
            return
        with transaction() as connection:
            _sync(connection, spec)
        _synced.add(spec.name)


def set_price(spec: ModelSpec, tier: str, prices: TokenPrices, from_: datetime | None = None) -> None:
    """List prices that hold from a moment on, or from now; what was admitted before keeps its own.

    Raises:
        InvalidRequest: the moment is past or has prices already, or a price has too many decimals.
    """
    if from_ is not None and from_ <= datetime.now(UTC):
        raise InvalidRequest("A price can't take effect in the past.", param="from")
    for amount_usd in (prices.input_usd, prices.cached_input_usd, prices.output_usd):
        _check_price(amount_usd)
    sync(spec)
    try:
        with transaction() as connection:
            _list(connection, spec.name, tier, prices, source=OPERATOR, effective_at=from_)
            audit.record(
                connection, actor.OPERATOR, "price.created", spec.name, data=_said(tier, prices, from_)
            )
    except IntegrityError as error:
        raise InvalidRequest(f"{spec.name} has prices from that moment on already.", param="from") from error
    _cache.pop((spec.name, tier), None)


def listed_prices(model: str | None = None) -> Sequence[ListedPrice]:
    """The whole book, by model and tier, the newest first."""
    query = select(*_COLUMNS).order_by(Price.model, Price.service_tier, Price.effective_at.desc())
    if model is not None:
        query = query.where(Price.model == model)
    with transaction() as connection:
        return [
            ListedPrice(
                row.model,
                row.service_tier,
                TokenPrices(row.input_usd, row.cached_input_usd, row.output_usd),
                row.effective_at,
                row.source,
            )
            for row in connection.execute(query)
        ]


def _said(tier: str, prices: TokenPrices, from_: datetime | None) -> dict[str, str | None]:
    return {
        "service_tier": tier,
        "input_usd": usd_text(prices.input_usd),
        "cached_input_usd": usd_text(prices.cached_input_usd),
        "output_usd": usd_text(prices.output_usd),
        "from": None if from_ is None else from_.isoformat(),
    }


def _check_price(amount_usd: Decimal) -> None:
    if not amount_usd.is_finite() or amount_usd < 0 or amount_usd != round(amount_usd, _DECIMALS):
        raise InvalidRequest(f"A price is not negative and has at most {_DECIMALS} decimals.", param="prices")


def _sync(connection: Connection, spec: ModelSpec) -> None:
    """Where the catalogue's prices have changed, they take effect now.

    They are compared with what the catalogue said last, so what an operator has listed since stays.
    """
    described = {
        "source": spec.source,
        "revision": spec.revision,
        "quantization": spec.quantization,
        "context_length": spec.context_length,
    }
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SYNC_LOCK})
    statement = upsert(Model).values(name=spec.name, **described)
    connection.execute(statement.on_conflict_do_update(index_elements=[Model.name], set_=described))
    for tier in TIERS:
        prices = spec.prices.of(tier)
        listed = TokenPrices(prices.input_usd, prices.cached_input_usd, prices.output_usd)
        if _latest(connection, spec.name, tier, source=CATALOGUE) != listed:
            _list(connection, spec.name, tier, listed, source=CATALOGUE)


def _list(
    connection: Connection,
    model: str,
    tier: str,
    prices: TokenPrices,
    *,
    source: str,
    effective_at: datetime | None = None,
) -> None:
    connection.execute(
        insert(Price).values(
            id=new_id("price"),
            model=model,
            service_tier=tier,
            input_usd=prices.input_usd,
            cached_input_usd=prices.cached_input_usd,
            output_usd=prices.output_usd,
            effective_at=func.clock_timestamp() if effective_at is None else effective_at,
            source=source,
        )
    )


def _latest(
    connection: Connection, model: str, tier: str, *, source: str | None = None
) -> TokenPrices | None:
    conditions: list[Any] = [Price.model == model, Price.service_tier == tier]
    if source is not None:
        conditions.append(Price.source == source)
    query = (
        select(Price.input_usd, Price.cached_input_usd, Price.output_usd)
        .where(*conditions, Price.effective_at <= func.clock_timestamp())
        .order_by(Price.effective_at.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return TokenPrices(*row) if row is not None else None


_COLUMNS = (
    Price.model,
    Price.service_tier,
    Price.input_usd,
    Price.cached_input_usd,
    Price.output_usd,
    Price.effective_at,
    Price.source,
)

"""Which prices hold now; the catalogue's changes become new rows, so what was admitted keeps its price."""

from time import monotonic

from sqlalchemy import Connection, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from inference.catalog import ModelSpec
from inference.catalog_prices import TIERS
from tasks.db import transaction
from tasks.ids import new_id
from tasks.models import Model, Price
from tasks.pricing import TokenPrices

_SYNC_LOCK = 7_270_012
_CACHE_SECONDS = 5.0

_cache: dict[tuple[str, str], tuple[float, TokenPrices]] = {}
_synced: set[str] = set()


def current_prices(spec: ModelSpec, tier: str = "default") -> TokenPrices:
    """The prices in effect for a model and a tier, at most five seconds old. Raises DatabaseUnavailable."""
    cached = _cache.get((spec.name, tier))
    if cached is not None and cached[0] > monotonic():
        return cached[1]
    with transaction() as connection:
        if spec.name not in _synced:
            _sync(connection, spec)
        prices = _latest(connection, spec.name, tier)
    if prices is None:
        raise LookupError(f"no price in effect for {spec.name}")
    _synced.add(spec.name)
    _cache[spec.name, tier] = (monotonic() + _CACHE_SECONDS, prices)
    return prices


def _sync(connection: Connection, spec: ModelSpec) -> None:
    """Bring the tables in line with the catalogue's entry; a changed price takes effect now."""
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
        if _latest(connection, spec.name, tier) != listed:
            _list(connection, spec.name, tier, listed)


def _list(connection: Connection, model: str, tier: str, prices: TokenPrices) -> None:
    connection.execute(
        insert(Price).values(
            id=new_id("price"),
            model=model,
            service_tier=tier,
            input_usd=prices.input_usd,
            cached_input_usd=prices.cached_input_usd,
            output_usd=prices.output_usd,
            effective_at=func.clock_timestamp(),
        )
    )


def _latest(connection: Connection, model: str, tier: str) -> TokenPrices | None:
    query = (
        select(Price.input_usd, Price.cached_input_usd, Price.output_usd)
        .where(Price.model == model, Price.service_tier == tier, Price.effective_at <= func.clock_timestamp())
        .order_by(Price.effective_at.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    return TokenPrices(*row) if row is not None else None

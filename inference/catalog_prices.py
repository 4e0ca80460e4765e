"""What tokens of a model cost, in each service tier. Torch-free."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType

from inference.catalog_source import Table
from inference.catalog_values import price

FACTORS: Mapping[str, Decimal] = MappingProxyType(
    {"default": Decimal(1), "priority": Decimal(2), "flex": Decimal("0.5"), "batch": Decimal("0.5")}
)
"""What a tier's prices are of the default ones where the catalogue lists none."""

TIERS = tuple(FACTORS)
PRICE_KEYS = ("input_usd", "cached_input_usd", "output_usd")
INPUT_PRICE = PRICE_KEYS[:1]


@dataclass(frozen=True, slots=True)
class Prices:
    """USD per million tokens. What embeds has no output and no cache: its input alone is charged."""

    input_usd: Decimal
    cached_input_usd: Decimal
    output_usd: Decimal
    tiers: Mapping[str, "Prices"] = field(default_factory=dict)

    def of(self, tier: str) -> "Prices":
        """The prices of a service tier."""
        if tier in self.tiers:
            return self.tiers[tier]
        factor = FACTORS[tier]
        return Prices(self.input_usd * factor, self.cached_input_usd * factor, self.output_usd * factor)


def read_prices(table: Table, *, embeds: bool) -> Prices:
    """The table ``prices`` of a model, with a table inside for each tier that has prices of its own."""
    keys = INPUT_PRICE if embeds else PRICE_KEYS
    others = [tier for tier in TIERS if tier != "default"]
    table.refuse_unknown_keys((*keys, *others))
    tiers = {tier: _read(table.subtable(tier), keys) for tier in others if tier in table}
    return _read(table, keys, tiers)


def _read(table: Table, keys: Sequence[str], tiers: Mapping[str, Prices] | None = None) -> Prices:
    if tiers is None:
        table.refuse_unknown_keys(keys)
    table.require(keys)
    amounts = {key: table.read(key, price) for key in keys}
    input_usd = amounts["input_usd"]
    return Prices(
        input_usd,
        amounts.get("cached_input_usd", input_usd),
        amounts.get("output_usd", Decimal(0)),
        MappingProxyType(dict(tiers or {})),
    )

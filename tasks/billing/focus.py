"""The ledger in the columns of FOCUS 1.1, the FinOps Open Cost and Usage Specification.

A charge becomes a row for each kind of token that it is for, since they have different prices; the rows'
costs add up to the charge exactly. A project is a billing account: it is who gets the invoice.
"""

from collections.abc import Iterator
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any

from tasks.billing.columns import Column, Row
from tasks.billing.entries import BilledEntry
from tasks.months import month_of, next_month, start_of
from tasks.pricing import PER_MILLION

_PROVIDER = "Tokenmill"
_CATEGORIES = {
    "charge": ("Usage", None, "Usage-Based"),
    "refund": ("Usage", "Correction", "One-Time"),
    "adjustment": ("Adjustment", None, "One-Time"),
    "grant": ("Credit", None, "One-Time"),
}
_DECIMAL = (
    *("BilledCost", "ConsumedQuantity", "ContractedCost", "ContractedUnitPrice", "EffectiveCost"),
    *("ListCost", "ListUnitPrice", "PricingQuantity"),
)
_MOMENTS = ("BillingPeriodStart", "BillingPeriodEnd", "ChargePeriodStart", "ChargePeriodEnd")
_NAMES = (
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency"),
    *("ChargePeriodEnd", "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost"),
    *("ContractedUnitPrice", "EffectiveCost", "InvoiceIssuerName", "ListCost", "ListUnitPrice"),
    *("PricingCategory", "PricingQuantity", "PricingUnit", "ProviderName", "PublisherName"),
    *("RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType", "ServiceCategory"),
    *("ServiceName", "ServiceSubcategory", "SkuId", "SkuMeter", "SkuPriceDetails", "SkuPriceId"),
    *("SubAccountId", "SubAccountName", "Tags"),
)
FOCUS_COLUMNS = tuple(
    Column(name, "decimal" if name in _DECIMAL else "moment" if name in _MOMENTS else "text")
    for name in _NAMES
)


def focus_rows(entry: BilledEntry) -> Iterator[Row]:
    """What an entry comes to."""
    whole = _whole(entry)
    if entry.kind != "charge":
        yield whole
        return
    for meter, tokens, price_usd in _parts(entry):
        if tokens:
            yield whole | _priced(entry, meter, tokens, price_usd)


def _parts(entry: BilledEntry) -> tuple[tuple[str, int, Decimal], ...]:
    prompt, cached = entry.prompt_tokens or 0, entry.cached_tokens or 0
    zero = Decimal(0)
    return (
        ("Input Tokens", prompt - cached, entry.price_input_usd or zero),
        ("Cached Input Tokens", cached, entry.price_cached_input_usd or zero),
        ("Output Tokens", entry.completion_tokens or 0, entry.price_output_usd or zero),
    )


def _priced(entry: BilledEntry, meter: str, tokens: int, price_usd: Decimal) -> dict[str, Any]:
    sku = f"{entry.model}/{entry.service_tier}/{meter.lower().replace(' ', '-')}"
    return {
        **_costs(tokens * price_usd * PER_MILLION),
        "ChargeDescription": f"{meter} of {entry.model}, {entry.service_tier} tier",
        "ConsumedQuantity": Decimal(tokens),
        "ConsumedUnit": "Tokens",
        "ContractedUnitPrice": price_usd,
        "ListUnitPrice": price_usd,
        "PricingCategory": "Standard",
        "PricingQuantity": tokens * PER_MILLION,
        "PricingUnit": "1000000 Tokens",
        "SkuId": sku,
        "SkuMeter": meter,
        "SkuPriceId": f"{sku}@{price_usd.normalize():f}",
    }


def _whole(entry: BilledEntry) -> Row:
    month = month_of(entry.created_at)
    hour = entry.created_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    category, charge_class, frequency = _CATEGORIES[entry.kind]
    tags = {"api_key_id": entry.api_key_id, "batch_id": entry.batch_id, "endpoint": entry.endpoint}
    return dict.fromkeys(_NAMES) | {
        **_costs(entry.amount_usd),
        "BillingAccountId": entry.project_id,
        "BillingAccountName": entry.project,
        "BillingCurrency": "USD",
        "BillingPeriodStart": start_of(month),
        "BillingPeriodEnd": start_of(next_month(month)),
        "ChargeCategory": category,
        "ChargeClass": charge_class,
        "ChargeDescription": entry.reason,
        "ChargeFrequency": frequency,
        "ChargePeriodStart": hour,
        "ChargePeriodEnd": hour + timedelta(hours=1),
        "InvoiceIssuerName": _PROVIDER,
        "ProviderName": _PROVIDER,
        "PublisherName": _PROVIDER,
        "ResourceId": entry.job_id,
        "ResourceType": None if entry.job_id is None else "Job",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "Inference",
        "ServiceSubcategory": "Generative AI",
        "Tags": {name: value for name, value in tags.items() if value is not None},
    }


def _costs(amount_usd: Decimal) -> dict[str, Decimal]:
    return dict.fromkeys(("BilledCost", "ContractedCost", "EffectiveCost", "ListCost"), amount_usd)

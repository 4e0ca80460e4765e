"""A model in a folder, as the catalogue would describe it. Torch-free."""

from decimal import Decimal

from inference.catalog import ModelSpec
from inference.catalog_prices import Prices

FREE = Prices(Decimal(0), Decimal(0), Decimal(0))
CONTEXT_TOKENS = 2048


def spec_of_folder(folder: str, model: str, quantization: str = "auto", longest_tokens: int = 0) -> ModelSpec:
    return ModelSpec(
        name=model,
        source=folder,
        context_length=max(CONTEXT_TOKENS, longest_tokens),
        prices=FREE,
        quantization=quantization,  # type: ignore[arg-type]
    )

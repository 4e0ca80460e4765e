"""Embedding models of random weights, requests to the packaged one, and what comes of them."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, PreTrainedTokenizerFast

from inference.catalog import ModelSpec
from inference.catalog_prices import Prices
from inference.embedding_request import EmbeddingRequest, Vectors
from inference.encoder_loader import LoadedEncoder
from tests.unit.inference.vocabulary import byte_level_tokenizer

NUMBERS = itertools.count()
FREE = Prices(Decimal(0), Decimal(0), Decimal(0))
TINY = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 514,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "cls_token_id": 2,
    "sep_token_id": 3,
    "mask_token_id": 4,
}
TEXTS = (
    "Mill",
    "A cat sits on the mat.",
    "Die Mühle am Fluss mahlt Korn für das ganze Dorf.",
    "粉屋は川のそばにある。😀",
    "def mill(grain: Grain) -> Flour:\n    return grind(grain)",
    "  spaces   and\ttabs  ",
    "The engine packs inputs of like length into one row of tokens, so that nothing is padded. " * 12,
)


def tiny_spec(folder: Path, **changes: Any) -> ModelSpec:
    options: dict[str, Any] = {"context_length": 200, "task": "embed", "quantization": "fp32"} | changes
    return ModelSpec(name="tiny", source=str(folder), prices=FREE, **options)


def save_tiny_encoder(folder: Path, model_type: str = "bert", **changes: Any) -> ModelSpec:
    """A model of random weights with the small byte-level tokenizer, and its catalogue entry."""
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(model_type, **(TINY | changes))).save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=byte_level_tokenizer()).save_pretrained(folder)
    return tiny_spec(folder)


def embed(loaded: LoadedEncoder, *texts: str, **options: Any) -> EmbeddingRequest:
    """A request for the vectors of ``texts``."""
    inputs = tuple(tuple(loaded.tokenizer.encode(text)) for text in texts)
    return EmbeddingRequest(f"e{next(NUMBERS)}", inputs, **options)


def tokens(*inputs: Sequence[int], **options: Any) -> EmbeddingRequest:
    """The same for token ids."""
    return EmbeddingRequest(f"e{next(NUMBERS)}", tuple(map(tuple, inputs)), **options)


@contextmanager
def forward_hook(loaded: LoadedEncoder, change: Callable[[torch.Tensor, Any], None]) -> Iterator[None]:
    """Call ``change`` with each forward pass's token ids [1, T] and output."""

    def hook(module: torch.nn.Module, args: Any, options: dict[str, Any], output: Any) -> None:
        change(options["input_ids"], output)

    handle = loaded.model.register_forward_hook(hook, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def cosines(first: Vectors, second: Vectors) -> list[float]:
    """Row by row."""
    products = (first * second).sum(1)
    lengths = (first**2).sum(1) ** 0.5 * (second**2).sum(1) ** 0.5
    similar: list[float] = (products / lengths).tolist()
    return similar

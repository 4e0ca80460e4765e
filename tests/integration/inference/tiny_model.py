"""Models of random weights, small enough that a test's time goes into the engine."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

from inference.catalog import ModelSpec, Quantization
from inference.catalog_prices import Prices
from tests.unit.inference.vocabulary import byte_level_tokenizer

TINY = {
    "vocab_size": 320,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
    "pad_token_id": 0,
    "eos_token_id": 257,
}
TINIEST = {
    "vocab_size": 512,
    "hidden_size": 32,
    "intermediate_size": 64,
    "head_dim": 8,
    # Large enough that a model of random weights has favourites among its tokens.
    "initializer_range": 0.3,
}
FREE = Prices(Decimal(0), Decimal(0), Decimal(0))


def make_spec(folder: Path, quantization: Quantization = "fp32", context_length: int = 512) -> ModelSpec:
    return ModelSpec("tiny", str(folder), context_length, FREE, quantization=quantization)


def save_tiny(folder: Path, model_type: str, **changes: Any) -> ModelSpec:
    """A model of random weights with the small byte-level tokenizer, and its catalogue entry."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(model_type, **(TINY | changes))
    make = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    make.from_config(config).save_pretrained(folder)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=byte_level_tokenizer(), eos_token="<|end|>")
    tokenizer.save_pretrained(folder)
    return make_spec(folder)


def save_tiniest(folder: Path) -> ModelSpec:
    """The least of them: a Llama of width 32 whose steps take about a millisecond."""
    return save_tiny(folder, "llama", **TINIEST)

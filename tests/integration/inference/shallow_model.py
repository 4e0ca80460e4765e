"""The packaged model with most of its layers taken away: its tokenizer and sizes, in a quarter of the time.

What it says makes no sense, and is the same each time.
"""

from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer

from inference.packaged import SMOLLM2
from inference.packaged_tokenizer import prepare_tokenizer
from inference.packaged_weights import prepare_weights
from tasks.settings import settings

LAYERS = 3


def save_shallow(folder: Path) -> str:
    """Write it; returns the catalog's overrides that put it in the place of the whole model."""
    cache_dir = settings().model_cache_dir
    weights = prepare_weights(cache_dir)
    AutoModelForCausalLM.from_pretrained(weights, num_hidden_layers=LAYERS).save_pretrained(folder)
    AutoTokenizer.from_pretrained(prepare_tokenizer(cache_dir)).save_pretrained(folder)
    return f'[models.{SMOLLM2.name}]\nsource = "{folder}"\nquantization = "fp32"\n'

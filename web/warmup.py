"""What is better loaded before the first request than during it."""

import structlog

from inference.catalog import ModelSpec
from inference.embedding_tokenizer import EmbeddingTokenizer
from inference.errors import InferenceError
from inference.prompts import PromptRenderer
from tasks.settings import settings

log = structlog.get_logger(__name__)


def load_tokenizers() -> None:
    """Load every model's tokenizer; one that can't be had now is tried again when it is asked for."""
    for spec in settings().model_catalog():
        try:
            _load(spec)
        except InferenceError as error:
            log.warning("tokenizer not loaded", action="warm_up", model=spec.name, error=str(error))


def _load(spec: ModelSpec) -> None:
    if spec.task == "embed":
        EmbeddingTokenizer.for_model(spec, settings().model_cache_dir)
    else:
        # Streams are made of these.
        _ = PromptRenderer.for_model(spec, settings().model_cache_dir).token_bytes

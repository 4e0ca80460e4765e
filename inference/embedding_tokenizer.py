"""From text to the token ids that an encoder takes. Torch-free."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from inference.catalog import ModelSpec
from inference.embedding_config import EmbeddingConfig, read_embedding_config
from inference.errors import InvalidPrompt, ModelLoadError
from inference.tokenizer_files import TokenizerFiles


class EmbeddingTokenizer:
    """A model's tokenizer. Any number of threads may use one.

    It never truncates: an input that is too long is for the encoder to refuse, not to cut. ``width`` is
    the dimensions of the model's vectors where its files say so.
    """

    def __init__(self, tokenizer: Tokenizer, config: EmbeddingConfig, width: int | None = None) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer = tokenizer
        self.config = config
        self.width = width
        self._before, self._after = _find_special_tokens(tokenizer)

    @classmethod
    def for_model(cls, spec: ModelSpec, cache_dir: Path) -> "EmbeddingTokenizer":
        """The tokenizer of a model, loaded on the first call. Raises ModelLoadError."""
        return _load(spec.source, spec.revision, cache_dir)

    @property
    def vocabulary_size(self) -> int:
        """Token ids are below it."""
        return self._tokenizer.get_vocab_size()

    def encode(self, text: str) -> list[int]:
        """The tokens of ``text`` between the special tokens that the model expects around it.

        Raises InvalidPrompt for a text that is empty or no Unicode text.
        """
        if not text:
            raise InvalidPrompt("The input is empty.")
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidPrompt("The input holds half of a surrogate pair, which is no text.") from error
        return self._tokenizer.encode(text.lower() if self.config.lower_case else text).ids

    def enclose(self, token_ids: Sequence[int]) -> list[int]:
        """Tokens that a caller made itself, between the special tokens. Raises InvalidPrompt for none."""
        if not token_ids:
            raise InvalidPrompt("The input is empty.")
        return [*self._before, *token_ids, *self._after]


def _find_special_tokens(tokenizer: Tokenizer) -> tuple[list[int], list[int]]:
    encoding = tokenizer.encode("a")
    ids, special = encoding.ids, encoding.special_tokens_mask
    if 0 not in special:
        raise ModelLoadError("The tokenizer makes nothing of the letter a.")
    first = special.index(0)
    end = len(ids) - special[::-1].index(0)
    return ids[:first], ids[end:]


@lru_cache(maxsize=32)
def _load(source: str, revision: str | None, cache_dir: Path) -> EmbeddingTokenizer:
    files = TokenizerFiles.of(source, revision, cache_dir)
    width = (files.read_json("config.json") or {}).get("hidden_size")
    return EmbeddingTokenizer(files.read_tokenizer().backend_tokenizer, read_embedding_config(files), width)

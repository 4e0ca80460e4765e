"""From token ids to text, one token at a time. Torch-free."""

import codecs
import json
from collections.abc import Callable, Sequence
from typing import Any

from tokenizers import Tokenizer

from inference.errors import ModelLoadError

SENTENCEPIECE_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"


class Detokenizer:
    """Decodes tokens as they come. Bytes of a character still incomplete are held back; bytes that
    are no UTF-8 become U+FFFD, as in a decoding of the whole."""

    def __init__(self, token_bytes: Sequence[bytes]) -> None:
        self._token_bytes = token_bytes
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token_id: int) -> str:
        """The text that this token completes. Models may have more ids than their tokenizer: those are ""."""
        known = 0 <= token_id < len(self._token_bytes)
        return self._utf8.decode(self._token_bytes[token_id] if known else b"")


def build_token_bytes(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes each token id stands for; special tokens and ids without a token stand for none.

    Raises ModelLoadError for a tokenizer whose tokens are not bytes or text.
    """
    spelled = _speller(tokenizer)
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    added = tokenizer.get_added_tokens_decoder()
    table = [b""] * (1 + max(vocabulary.values(), default=0))
    for token, token_id in vocabulary.items():
        table[token_id] = spelled(token)
    for token_id, extra in added.items():
        table[token_id] = b"" if extra.special else extra.content.encode()
    return table


def _speller(tokenizer: Tokenizer) -> Callable[[str], bytes]:
    names = set(_decoder_names(json.loads(tokenizer.to_str())["decoder"]))
    if "ByteLevel" in names:
        return ByteLevelSpelling().spell
    if names & {"Metaspace", "ByteFallback"}:
        return _spell_sentencepiece
    raise ModelLoadError(f"The tokenizer's decoder ({', '.join(sorted(names)) or 'none'}) is not supported.")


def _decoder_names(decoder: dict[str, Any] | None) -> list[str]:
    if decoder is None:
        return []
    return [decoder["type"], *(name for part in decoder.get("decoders", ()) for name in _decoder_names(part))]


def _spell_sentencepiece(token: str) -> bytes:
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        return bytes([int(token[3:5], 16)])
    return token.replace(SENTENCEPIECE_SPACE, " ").encode()


class ByteLevelSpelling:
    """Byte-level vocabularies write each byte as a printable character: printable Latin-1 as it is,
    the others shifted past U+00FF in order."""

    def __init__(self) -> None:
        printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
        hidden = [byte for byte in range(256) if byte not in set(printable)]
        self._bytes = {chr(byte): byte for byte in printable}
        self._bytes |= {chr(0x100 + index): byte for index, byte in enumerate(hidden)}

    def spell(self, token: str) -> bytes:
        try:
            return bytes(map(self._bytes.__getitem__, token))
        except KeyError:
            return token.encode()

"""From tokens to text, one at a time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models

from inference.detokenize import Detokenizer, build_token_bytes
from inference.errors import ModelLoadError
from tests.unit.inference.vocabulary import byte_level_tokenizer, token_id

TOKENIZER = byte_level_tokenizer()
TOKEN_BYTES = build_token_bytes(TOKENIZER)
END = token_id(TOKENIZER, "<|end|>")


def pieces_of(token_ids: list[int]) -> list[str]:
    detokenizer = Detokenizer(TOKEN_BYTES)
    return [detokenizer.push(token_id) for token_id in token_ids]


@given(st.text(max_size=40).filter(lambda text: "<" not in text))
def test_pieces_join_to_the_text_and_no_character_is_split(text: str) -> None:
    pieces = pieces_of(TOKENIZER.encode(text).ids)
    assert "".join(pieces) == text


@given(st.text("hé漢😀", min_size=1, max_size=20), st.data())
def test_a_text_cut_anywhere_shows_no_replacement_character(text: str, data: st.DataObject) -> None:
    token_ids = TOKENIZER.encode(text).ids
    end = data.draw(st.integers(0, len(token_ids)))
    shown = "".join(pieces_of(token_ids[:end]))
    assert text.startswith(shown)


@given(st.lists(st.integers(0, 255), max_size=30))
def test_bytes_that_are_no_text_read_as_they_do_in_one_piece(token_ids: list[int]) -> None:
    shown = "".join(pieces_of(token_ids))
    whole = b"".join(TOKEN_BYTES[token_id] for token_id in token_ids).decode("utf-8", "replace")
    assert whole.startswith(shown)


def test_special_tokens_have_no_text() -> None:
    assert pieces_of([*TOKENIZER.encode("he").ids, END]) == ["he", ""]


def test_added_tokens_that_are_not_special_are_text() -> None:
    assert pieces_of(TOKENIZER.encode("<think>").ids) == ["<think>"]


def test_ids_beyond_the_vocabulary_have_no_text() -> None:
    assert pieces_of([10_000_000]) == [""]


def test_sentencepiece_tokens_keep_their_space_and_their_bytes() -> None:
    vocabulary = {"\u2581Paris": 0, "<0xE6>": 1, "<0xBC>": 2, "<0xA2>": 3}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback()])
    detokenizer = Detokenizer(build_token_bytes(tokenizer))
    assert [detokenizer.push(token_id) for token_id in range(4)] == [" Paris", "", "", "漢"]


def test_a_decoder_that_is_not_known_is_refused() -> None:
    tokenizer = Tokenizer(models.BPE(vocab={"a": 0}, merges=[]))
    tokenizer.decoder = decoders.WordPiece()
    with pytest.raises(ModelLoadError, match="WordPiece"):
        build_token_bytes(tokenizer)

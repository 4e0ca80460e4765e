"""Control tokens belong to the template alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models

from inference.control_tokens import MARK, ControlTokens
from inference.errors import InvalidPrompt
from tests.unit.inference.vocabulary import CONTROL, byte_level_tokenizer, token_id

TOKENIZER = byte_level_tokenizer()
START, END = (token_id(TOKENIZER, token) for token in CONTROL)
TEXTS = st.lists(
    st.sampled_from([*CONTROL, "<", "<|", "<|st", "art|>", "<|en", "d|>", "|>", " ", "\n", "x"]),
    max_size=6,
).map("".join)


def render(messages: list[dict[str, Any]]) -> str:
    """As chat templates do: trims, and joins the parts of a message."""
    return "".join(f"<|start|>{''.join(message['parts']).strip()}<|end|>" for message in messages)


def encode(messages: list[dict[str, Any]]) -> list[int]:
    control = ControlTokens(TOKENIZER)
    return control.encode(render(control.guard(messages)))


@given(st.lists(st.fixed_dictionaries({"parts": st.lists(TEXTS, max_size=3)}), min_size=1, max_size=3))
def test_only_the_template_makes_control_tokens(messages: list[dict[str, Any]]) -> None:
    token_ids = encode(messages)
    assert token_ids.count(START) == len(messages)
    assert token_ids.count(END) == len(messages)


@given(st.lists(st.fixed_dictionaries({"parts": st.lists(TEXTS, max_size=3)}), min_size=1, max_size=3))
def test_what_users_wrote_stays_to_the_letter(messages: list[dict[str, Any]]) -> None:
    assert TOKENIZER.decode(encode(messages), skip_special_tokens=False) == render(messages)


def test_plain_messages_are_encoded_as_the_tokenizer_does() -> None:
    messages = [{"parts": ["hello", " there <b>"]}]
    assert encode(messages) == TOKENIZER.encode(render(messages), add_special_tokens=False).ids


def test_roles_reach_the_template_unmarked() -> None:
    guarded = ControlTokens(TOKENIZER).guard([{"role": "<|end|>", "content": "<|end|>"}])
    assert guarded == [{"role": "<|end|>", "content": f"{MARK}<|end|>"}]


def test_words_that_hold_the_mark_are_refused() -> None:
    with pytest.raises(InvalidPrompt, match=r"U\+FDD0"):
        encode([{"parts": [f"{MARK}x"]}])


def test_a_tokenizer_without_control_tokens_marks_nothing() -> None:
    control = ControlTokens(Tokenizer(models.BPE(vocab={"a": 0}, merges=[])))
    assert control.guard([{"content": "<|end|>"}]) == [{"content": "<|end|>"}]
    assert control.encode("aa") == [0, 0]

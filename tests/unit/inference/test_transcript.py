"""The same text of the same tokens as the engine's, without the engine."""

from hypothesis import given
from hypothesis import strategies as st

from inference.request import FinishReason, OutcomeStatus, SamplingParams
from inference.transcript import Transcript
from tests.unit.inference.sequences import END, TOKEN_BYTES, ids, make_sequence


def make_transcript(**params: object) -> Transcript:
    return Transcript(SamplingParams(**{"max_tokens": 64, **params}), frozenset({END}), TOKEN_BYTES)  # type: ignore[arg-type]


@given(
    st.text("abé漢😀", max_size=20),
    st.lists(st.text("abé漢", min_size=1, max_size=3), max_size=2),
    st.integers(0, 5),
    st.booleans(),
)
def test_text_and_end_are_those_of_the_engine(
    text: str, stops: list[str], min_tokens: int, ends: bool
) -> None:
    token_ids = [*ids(text), *([END] if ends else [])]
    params = {"min_tokens": min_tokens, "stop": tuple(stops), "max_tokens": max(1, len(token_ids))}
    sequence = make_sequence(
        stop=tuple(stops), max_tokens=max(1, len(token_ids)), params={"min_tokens": min_tokens}
    )
    transcript = make_transcript(**params)
    pieces = []
    for token_id in token_ids:
        if not sequence.output_ended:
            sequence.append(token_id)
            pieces.append(transcript.push(token_id))
    sequence.end(OutcomeStatus.CANCELLED)
    assert sequence.outcome is not None
    assert "".join(pieces) + transcript.flush() == sequence.outcome.text
    assert transcript.ended == sequence.output_ended


def test_a_character_is_never_split() -> None:
    transcript = make_transcript()
    pieces = [transcript.push(token_id) for token_id in ids("a😀漢")]
    assert "".join(pieces) == "a😀漢"
    assert set("".join(pieces)) == {"a", "😀", "漢"}
    assert "\ufffd" not in pieces


def test_a_stop_string_over_several_tokens_never_leaks() -> None:
    transcript = make_transcript(stop=("abc",))
    assert [transcript.push(token_id) for token_id in ids("xabc")] == ["x", "", "", ""]
    assert transcript.finish_reason is FinishReason.STOP
    assert transcript.flush() == ""


def test_what_was_held_for_a_stop_string_is_text_when_the_output_is_cut_short() -> None:
    transcript = make_transcript(stop=("abc",))
    assert [transcript.push(token_id) for token_id in ids("xab")] == ["x", "", ""]
    assert not transcript.ended
    assert transcript.flush() == "ab"


def test_an_output_of_no_tokens_has_ended_before_it_begins() -> None:
    assert make_transcript(max_tokens=0, prompt_logprobs=0).finish_reason is FinishReason.LENGTH

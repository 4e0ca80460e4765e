from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from inference.request import Grammar, GrammarKind, SamplingParams, TokenLogprob
from tasks import stored_choices
from tasks.result import Choice
from tasks.sampling import Sampling, read_sampling

PARAMS = st.builds(
    SamplingParams,
    max_tokens=st.just(5),
    temperature=st.floats(0, 2),
    stop=st.lists(st.text(min_size=1, max_size=3), max_size=2).map(tuple),
    logit_bias=st.lists(st.tuples(st.integers(0, 9), st.floats(-100, 100)), max_size=2).map(tuple),
    bad_words=st.lists(st.lists(st.integers(0, 9), min_size=1).map(tuple), max_size=2).map(tuple),
    logprobs=st.none() | st.integers(0, 20),
    grammar=st.none() | st.just(Grammar(GrammarKind.REGEX, "a+")),
)


@given(PARAMS, st.integers(1, 4))
def test_sampling_comes_back_from_its_row_as_it_was(params: SamplingParams, n: int) -> None:
    sampling = Sampling(params, n, n + 1)
    read = read_sampling(sampling.to_json(), {}, max_tokens=5, seed=9)
    assert read == Sampling(replace(params, seed=9), n, n + 1)


def test_rows_of_before_are_read_from_their_request() -> None:
    read = read_sampling(None, {"temperature": 0.5, "stop": "x"}, max_tokens=3, seed=1)
    assert read == Sampling(SamplingParams(max_tokens=3, temperature=0.5, stop=("x",), seed=1))


def test_choices_come_back_from_their_row_as_they_were() -> None:
    logprob = TokenLogprob(1, -0.5, ((1, -0.5), (2, -1.5)))
    choices = (
        Choice(text="a", token_ids=(1,), finish_reason="stop", logprobs=(logprob,)),
        Choice(text="", token_ids=(), prompt_logprobs=(None, logprob)),
    )
    assert stored_choices.from_json(stored_choices.to_json(choices)) == choices


def test_what_json_and_postgres_can_not_hold_is_written_otherwise() -> None:
    choice = Choice(text="a\x00b", token_ids=(1,), logprobs=(TokenLogprob(1, float("-inf")),))
    (stored,) = stored_choices.to_json([choice])
    assert stored["text"] == "a\ufffdb"
    assert stored["logprobs"] == [[1, -9999.0, []]]

"""Completions through OpenAI's own client."""

from typing import Any

import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI
from openai.types import Completion

from tasks.planning import find_model, renderer_of
from tests.acceptance.async_sdk import run_async
from tests.acceptance.conftest import LiveServer

MODEL = "smollm2"
COUNTING = "1, 2, 3, 4, 5, 6, 7,"
# "The capital", as tokens of the packaged model.
TOKENS = [504, 3575]


def complete(sdk: OpenAI, **changes: Any) -> Completion:
    values: dict[str, Any] = {"model": MODEL, "prompt": COUNTING, "temperature": 0, "max_tokens": 6}
    answer: Completion = sdk.completions.create(**values | changes)
    return answer


def test_text_goes_on(sdk: OpenAI, live_server: LiveServer) -> None:
    answer = complete(sdk)
    assert answer.choices[0].text.startswith(" 8, 9")
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 6

    async def use(client: AsyncOpenAI) -> str:
        other = await client.completions.create(model=MODEL, prompt=COUNTING, temperature=0, max_tokens=6)
        return other.choices[0].text

    assert run_async(live_server, use) == answer.choices[0].text


def test_sixteen_tokens_when_nothing_is_said(sdk: OpenAI) -> None:
    answer = sdk.completions.create(model=MODEL, prompt=COUNTING, temperature=0)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 16


def test_prompts_may_be_several_texts_or_tokens(sdk: OpenAI) -> None:
    several = complete(sdk, prompt=[COUNTING, "a, b, c,"], n=2)
    texts = [choice.text for choice in several.choices]
    assert texts[0] == texts[1] == complete(sdk).choices[0].text
    assert texts[2] == texts[3] == complete(sdk, prompt="a, b, c,").choices[0].text
    echoed = complete(sdk, prompt=TOKENS, echo=True).choices[0].text
    assert echoed.startswith("The capital")
    assert complete(sdk, prompt=[TOKENS, TOKENS], echo=True).choices[1].text == echoed


def test_stream_of_several_prompts_joined_is_the_answer(sdk: OpenAI) -> None:
    prompts = [COUNTING, "a, b, c,"]
    texts = ["", ""]
    with sdk.completions.create(
        model=MODEL, prompt=prompts, temperature=0, max_tokens=6, stream=True, echo=True
    ) as stream:
        for chunk in stream:
            texts[chunk.choices[0].index] += chunk.choices[0].text
    assert texts == [choice.text for choice in complete(sdk, prompt=prompts, echo=True).choices]


def test_asynchronous_stream_ends_with_the_usage(live_server: LiveServer) -> None:
    async def use(client: AsyncOpenAI) -> list[Completion]:
        stream = await client.completions.create(
            model=MODEL,
            prompt=COUNTING,
            temperature=0,
            max_tokens=6,
            stream=True,
            stream_options={"include_usage": True},
        )
        return [chunk async for chunk in stream]

    last = run_async(live_server, use)[-1]
    assert last.usage is not None
    assert last.usage.completion_tokens == 6


def test_best_of_several_are_returned_and_all_are_counted(sdk: OpenAI) -> None:
    answer = complete(sdk, best_of=4, n=2, temperature=1, seed=5)
    assert len(answer.choices) == 2
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 24


def harness(sdk: OpenAI, prompt: list[int], context: int, *, max_tokens: int) -> tuple[float, bool]:
    """How lm-evaluation-harness asks for, and reads, the likelihood of a continuation."""
    answer = complete(sdk, prompt=[prompt], max_tokens=max_tokens, logprobs=1, echo=True, seed=1234)
    logprobs = answer.choices[0].logprobs
    assert logprobs is not None
    end = -1 if max_tokens else None
    tokens = (logprobs.token_logprobs or [])[context:end]
    tops = (logprobs.top_logprobs or [])[context:end]
    greedy = all(score == max(top.values()) for score, top in zip(tokens, tops, strict=True))
    return sum(tokens), greedy


def test_likelihood_of_a_continuation_is_what_generating_it_says(sdk: OpenAI) -> None:
    generated = complete(sdk, prompt=TOKENS, max_tokens=4, logprobs=0)
    assert generated.choices[0].logprobs is not None
    scores = generated.choices[0].logprobs.token_logprobs or []
    echoed = complete(sdk, prompt=TOKENS, max_tokens=4, logprobs=0, echo=True)
    assert echoed.choices[0].logprobs is not None
    # The SDK's type knows nothing of the null that stands for a prompt's first token.
    all_scores: list[float | None] = [*(echoed.choices[0].logprobs.token_logprobs or [])]
    assert all_scores[0] is None
    assert all_scores[2:] == pytest.approx(scores, abs=1e-2)


@pytest.mark.parametrize("max_tokens", [0, 1])
def test_evaluation_harness_finds_the_likelier_ending(sdk: OpenAI, max_tokens: int) -> None:
    ids = token_ids("The capital of France is")
    paris, rome = (
        harness(sdk, [*ids, *token_ids(city)], len(ids), max_tokens=max_tokens)
        for city in (" Paris", " Rome")
    )
    assert paris[0] > rome[0]
    assert paris[1]
    assert not rome[1]


def token_ids(text: str) -> list[int]:
    """As a harness has them from the model's own tokenizer."""
    return renderer_of(find_model(MODEL)).plain(text)


def test_offsets_are_those_of_the_tokens_in_the_text(sdk: OpenAI) -> None:
    [choice] = complete(sdk, prompt="Grüße aus Paris", echo=True, logprobs=2, max_tokens=3).choices
    assert choice.logprobs is not None
    for token, offset in zip(choice.logprobs.tokens or [], choice.logprobs.text_offset or [], strict=True):
        assert token.startswith("bytes:") or choice.text[offset:].startswith(token)


def test_suffix_is_refused_by_name(sdk: OpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        complete(sdk, suffix="x")
    assert (caught.value.param, caught.value.code) == ("suffix", "unsupported_parameter")

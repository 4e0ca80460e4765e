"""The answer to a completion, checked against the SDK's own type."""

import json
from dataclasses import replace
from typing import Any

import pytest
from openai.types import Completion

from inference.prompts import PromptRenderer
from inference.request import TokenLogprob
from tasks.result import Choice
from tasks.wire.completions import completion_body
from tests.unit.tasks.wire.results import DIGITS, choice_of, make_result


def shown(
    choices: list[Choice], prompts: tuple[tuple[int, ...], ...] = ((1, 2),), **request: Any
) -> Completion:
    body = {"model": "smollm2", "prompt": "hi", **request}
    result = replace(make_result(body, choices, prompts=len(prompts)), prompts=prompts)
    # As the SDK reads it: its type knows nothing of the null that stands for a prompt's first token.
    return Completion.construct(**json.loads(completion_body(result).model_dump_json()))


def test_texts_are_in_the_order_of_their_prompts(renderer: PromptRenderer) -> None:
    answer = shown(
        [choice_of(text, renderer) for text in "abcd"], prompts=((1,), (2,)), prompt=["x", "y"], n=2
    )
    assert answer.id == f"cmpl-{DIGITS}"
    assert [(choice.index, choice.text) for choice in answer.choices] == list(enumerate("abcd"))
    assert {choice.finish_reason for choice in answer.choices} == {"stop"}
    assert answer.usage is not None
    assert answer.usage.total_tokens == 8


def test_echo_puts_the_prompt_before_the_text(renderer: PromptRenderer) -> None:
    choices = [choice_of(text, renderer) for text in "abcd"]
    answer = shown(choices, prompts=((1,), (2,)), prompt=["x ", "y "], n=2, echo=True)
    assert [choice.text for choice in answer.choices] == ["x a", "x b", "y c", "y d"]
    tokens = renderer.plain("Grüße, ")
    answer = shown(choices[:1], prompts=(tuple(tokens),), prompt=tokens, echo=True)
    assert answer.choices[0].text == "Grüße, a"


@pytest.mark.parametrize("reason", ["length", None])
def test_what_was_cut_short_has_the_reason_length(renderer: PromptRenderer, reason: str | None) -> None:
    assert shown([choice_of("a", renderer, finish_reason=reason)]).choices[0].finish_reason == "length"


def scored(prompt: tuple[int, ...], output: tuple[int, ...], text: str) -> Choice:
    """As the engine scores them, the token 5 being the likeliest everywhere."""
    scores = [TokenLogprob(token_id, -1.5, ((5, -0.5),)) for token_id in (*prompt[1:], *output)]
    return Choice(
        text=text,
        token_ids=output,
        finish_reason="length",
        logprobs=tuple(scores[len(prompt) - 1 :]),
        prompt_logprobs=(None, *scores[: len(prompt) - 1]),
    )


def test_prompt_and_output_are_scored_token_by_token(renderer: PromptRenderer) -> None:
    prompt, output = tuple(renderer.plain("Grüße, 漢字")), tuple(renderer.plain(" an"))
    answer = shown(
        [scored(prompt, output, " an")], prompts=(prompt,), prompt=list(prompt), echo=True, logprobs=1
    )
    [choice] = answer.choices
    logprobs = choice.logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    assert logprobs.token_logprobs is not None
    assert logprobs.top_logprobs is not None
    assert logprobs.text_offset is not None
    count = len(prompt) + len(output)
    assert {len(logprobs.tokens), len(logprobs.token_logprobs), len(logprobs.top_logprobs)} == {count}
    assert (logprobs.token_logprobs[0], logprobs.top_logprobs[0]) == (None, None)
    assert logprobs.token_logprobs[1:] == [-1.5] * (count - 1)
    assert all(
        top[token] <= -0.5 for top, token in zip(logprobs.top_logprobs[1:], logprobs.tokens[1:], strict=True)
    )
    for token, offset in zip(logprobs.tokens, logprobs.text_offset, strict=True):
        assert token.startswith("bytes:") or choice.text[offset:].startswith(token)
    assert any(token.startswith("bytes:\\x") for token in logprobs.tokens)


def test_evaluation_harness_reads_the_likelihood_of_a_continuation(renderer: PromptRenderer) -> None:
    """The arithmetic of lm-evaluation-harness: what follows the context, without the one token generated."""
    prompt = tuple(renderer.plain("The capital of France is Paris"))
    eos = tuple(renderer.eos_token_ids)[:1]
    body = shown(
        [scored(prompt, eos, "")], prompts=(prompt,), prompt=list(prompt), echo=True, logprobs=1, max_tokens=1
    ).model_dump()
    context = len(prompt) - 2
    logprobs = body["choices"][0]["logprobs"]
    likelihoods = logprobs["token_logprobs"][context:-1]
    assert sum(likelihoods) == pytest.approx(-3.0)
    assert [max(top.values()) for top in logprobs["top_logprobs"][context:-1]] == [-0.5, -0.5]


def test_control_token_is_spelled_and_has_no_place_in_the_text(renderer: PromptRenderer) -> None:
    eos = next(iter(renderer.eos_token_ids))
    logprobs = shown(
        [scored((7, eos), (9,), "x")], prompts=((7, eos),), prompt=[7, eos], echo=True, logprobs=0
    )
    found = logprobs.choices[0].logprobs
    assert found is not None
    assert found.tokens is not None
    assert found.text_offset is not None
    assert found.tokens[1] == renderer.name_of(eos)
    assert found.text_offset[1] == found.text_offset[2]


def test_impossible_tokens_are_shown_as_json_can(renderer: PromptRenderer) -> None:
    choice = Choice(
        text="a", token_ids=(9,), finish_reason="stop", logprobs=(TokenLogprob(9, float("-inf")),)
    )
    found = shown([choice], logprobs=0).choices[0].logprobs
    assert found is not None
    assert found.token_logprobs == [-9999.0]

"""Embeddings through OpenAI's own client, which asks for base64 unless told otherwise."""

from typing import Any

import numpy as np
import pytest
from openai import AsyncOpenAI, BadRequestError, OpenAI

from tests.acceptance.async_sdk import run_async
from tests.acceptance.conftest import LiveServer

MODEL = "minilm"


def embed(sdk: OpenAI, inputs: Any, **options: Any) -> np.ndarray[Any, Any]:
    answer = sdk.embeddings.create(model=MODEL, input=inputs, **options)
    assert [one.index for one in answer.data] == list(range(len(answer.data)))
    return np.array([one.embedding for one in answer.data])


def test_base64_and_numbers_are_the_same_vectors(sdk: OpenAI, live_server: LiveServer) -> None:
    texts = ["A cat sits on the mat.", "Interest rates rose."]
    coded = embed(sdk, texts)
    assert coded.shape == (2, 384)
    assert np.allclose(coded, embed(sdk, texts, encoding_format="float"), atol=1e-6)
    assert np.allclose(np.linalg.norm(coded, axis=1), 1, atol=1e-3)

    async def use(client: AsyncOpenAI) -> list[float]:
        return (await client.embeddings.create(model=MODEL, input=texts[0])).data[0].embedding

    assert np.allclose(run_async(live_server, use), coded[0], atol=1e-3)


def test_texts_that_mean_the_same_are_near_each_other(sdk: OpenAI) -> None:
    cat, kitten, money = embed(
        sdk, ["A cat sits on the mat.", "A kitten rests on a rug.", "The central bank raised interest rates."]
    )
    assert cat @ kitten > cat @ money + 0.2


def test_order_and_company_change_nothing(sdk: OpenAI) -> None:
    texts = [f"Sentence number {number}." for number in range(40)]
    together = embed(sdk, texts)
    assert np.allclose(together[7], embed(sdk, texts[7])[0], atol=2e-2)
    assert len({tuple(vector) for vector in together.round(4)}) == 40


def test_tokens_are_embedded_like_their_text(sdk: OpenAI) -> None:
    # "hello" and "world" of the packaged model.
    assert np.allclose(embed(sdk, [7592, 2088])[0], embed(sdk, "hello world")[0], atol=1e-3)
    assert embed(sdk, [[7592], [2088]]).shape == (2, 384)


def test_usage_counts_the_inputs(sdk: OpenAI) -> None:
    usage = sdk.embeddings.create(model=MODEL, input=["hello", "hello world"]).usage
    assert (usage.prompt_tokens, usage.total_tokens) == (7, 7)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"dimensions": 64}, "dimensions", "unsupported_parameter"),
        ({"input": "word " * 300}, "input", "context_length_exceeded"),
        ({"input": ["ok", ""]}, "input[1]", "invalid_value"),
        ({"model": "smollm2"}, "model", "unsupported_model"),
    ],
)
def test_refusal_names_the_field(sdk: OpenAI, change: dict[str, Any], param: str, code: str) -> None:
    values: dict[str, Any] = {"model": MODEL, "input": "hello"}
    with pytest.raises(BadRequestError) as caught:
        sdk.embeddings.create(**values | change)
    assert (caught.value.param, caught.value.code) == (param, code)

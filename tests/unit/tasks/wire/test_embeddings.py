"""Embeddings: every parameter, every refusal, and the answer as the SDK reads it."""

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from openai.types import CreateEmbeddingResponse

from inference.embedding_tokenizer import EmbeddingTokenizer
from tasks.plan import Endpoint, JobPlan, ServiceTier
from tasks.planning import find_model
from tasks.settings import settings
from tasks.wire import embeddings
from tasks.wire.embeddings import EMBEDDING_REQUEST, embedding_body, embedding_plan
from tests.unit.tasks.wire.refusals import refusal
from tests.unit.tasks.wire.results import make_result

BODY: dict[str, Any] = {"model": "minilm", "input": "hello"}
VECTORS = np.array([[0.5, -0.25], [1.0, 0.125]], np.float32)


@pytest.fixture(scope="module")
def tokenizer() -> EmbeddingTokenizer:
    return EmbeddingTokenizer.for_model(find_model("minilm", task="embed"), settings().model_cache_dir)


def plan(**changes: Any) -> JobPlan:
    return embedding_plan(EMBEDDING_REQUEST.validate_python({**BODY, **changes}))


def refused(**changes: Any) -> tuple[str | None, str]:
    error = refusal(EMBEDDING_REQUEST, embedding_plan, {**BODY, **changes})
    return error.param, error.code


def test_text_becomes_the_tokens_the_encoder_expects(tokenizer: EmbeddingTokenizer) -> None:
    made = plan()
    assert (made.endpoint, made.type, made.spec.name) == (
        Endpoint.EMBEDDINGS,
        "embedding",
        "all-minilm-l6-v2",
    )
    assert made.prompts == (tuple(tokenizer.encode("hello")),)
    assert (made.params.max_tokens, made.most_output_tokens) == (0, 0)


def test_inputs_may_be_texts_or_tokens(tokenizer: EmbeddingTokenizer) -> None:
    inner = [tokenizer.encode(text)[1:-1] for text in ("hello", "you there")]
    texts = plan(input=["hello", "you there"]).prompts
    assert plan(input=inner).prompts == texts
    assert plan(input=inner[1]).prompts == texts[1:]


def test_tier_user_and_metadata_are_kept() -> None:
    made = plan(service_tier="flex", user="u", metadata={"a": "b"}, expires_in_seconds=9)
    assert (made.service_tier, made.metadata, made.expires_in_seconds) == (
        ServiceTier.FLEX,
        {"a": "b"},
        9,
    )
    assert made.request["user"] == "u"


@pytest.mark.parametrize(
    ("sent", "param", "code"),
    [
        ({"input": ""}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": None}, "input", "invalid_type"),
        ({"input": ["a", ""]}, "input[1]", "invalid_value"),
        ({"input": ["a", ["b"]]}, "input[1]", "invalid_type"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"input": [5, 999999]}, "input[1]", "invalid_value"),
        ({"input": [[5], [999999]]}, "input[1][0]", "invalid_value"),
        ({"input": ["ok", "word " * 300]}, "input[1]", "context_length_exceeded"),
        ({"encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"dimensions": 0}, "dimensions", "invalid_value"),
        ({"dimensions": 10}, "dimensions", "unsupported_parameter"),
        ({"model": "smollm2"}, "model", "unsupported_model"),
        ({"bogus": 1}, "bogus", "unknown_parameter"),
    ],
)
def test_wrong_value_is_refused_by_its_field(sent: dict[str, Any], param: str, code: str) -> None:
    assert refused(**sent) == (param, code)


def test_dimensions_are_for_models_made_for_that(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = replace(find_model("minilm", task="embed"), matryoshka=True)
    monkeypatch.setattr(embeddings, "find_model", lambda name, task: spec)
    assert plan(dimensions=10).request["dimensions"] == 10


def test_vectors_are_numbers_or_base64_of_the_same() -> None:
    result = replace(make_result(BODY, []), vectors=VECTORS)
    numbers = CreateEmbeddingResponse.model_validate(json.loads(embedding_body(result).model_dump_json()))
    assert [one.embedding for one in numbers.data] == VECTORS.tolist()
    assert [one.index for one in numbers.data] == [0, 1]
    assert (numbers.usage.prompt_tokens, numbers.usage.total_tokens) == (5, 5)
    coded = replace(result, request={**BODY, "encoding_format": "base64"})
    for one, vector in zip(embedding_body(coded).data, VECTORS, strict=True):
        assert isinstance(one.embedding, str)
        assert np.array_equal(np.frombuffer(base64.b64decode(one.embedding), "<f4"), vector)

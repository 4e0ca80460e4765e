"""What becomes of each parameter of a completion: it is honoured, or refused by its name."""

from typing import Any

import pytest

from inference.prompts import PromptRenderer
from tasks.errors import ContextLengthExceeded, ModelNotSupported
from tasks.plan import Endpoint, JobPlan, ServiceTier
from tasks.wire.completion_request import COMPLETION_REQUEST
from tasks.wire.completions import completion_plan
from tests.unit.tasks.wire.refusals import refusal

BODY: dict[str, Any] = {"model": "smollm2", "prompt": "hi"}


def plan(**changes: Any) -> JobPlan:
    return completion_plan(COMPLETION_REQUEST.validate_python({**BODY, **changes}))


def test_a_bare_completion_has_every_default(renderer: PromptRenderer) -> None:
    made = plan()
    assert (made.endpoint, made.type) == (Endpoint.COMPLETIONS, "completion")
    assert made.prompts == (tuple(renderer.completion("hi")),)
    assert (made.params.max_tokens, made.params.logprobs, made.params.prompt_logprobs) == (16, None, None)
    assert (made.n, made.best_of, made.stored, made.service_tier) == (1, 1, False, ServiceTier.DEFAULT)


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ([5, 6], ((5, 6),)),
        ([[5, 6], [7]], ((5, 6), (7,))),
    ],
)
def test_prompts_may_be_tokens(prompt: object, prompts: object) -> None:
    assert plan(prompt=prompt).prompts == prompts


def test_prompts_may_be_several_texts(renderer: PromptRenderer) -> None:
    assert plan(prompt=["a", "b c"]).prompts == tuple(tuple(renderer.completion(one)) for one in ("a", "b c"))


@pytest.mark.parametrize(
    ("sent", "max_tokens", "logprobs", "prompt_logprobs"),
    [
        ({"logprobs": 3}, 16, 3, None),
        ({"echo": True}, 16, None, None),
        ({"echo": True, "logprobs": 1, "max_tokens": 1}, 1, 1, 1),
        ({"echo": True, "logprobs": 0, "max_tokens": 0}, 0, 0, 0),
        ({"echo": True, "max_tokens": 0}, 0, None, 0),
    ],
)
def test_echo_with_logprobs_scores_the_prompt(
    sent: dict[str, Any], max_tokens: int, logprobs: int | None, prompt_logprobs: int | None
) -> None:
    params = plan(**sent).params
    assert (params.max_tokens, params.logprobs, params.prompt_logprobs) == (
        max_tokens,
        logprobs,
        prompt_logprobs,
    )


def test_best_of_is_how_many_are_generated() -> None:
    made = plan(best_of=5, n=2)
    assert (made.n, made.best_of) == (2, 5)


def test_sampling_tier_and_metadata_are_those_of_a_chat() -> None:
    made = plan(temperature=0, seed=7, top_k=3, service_tier="flex", metadata={"a": "b"}, stop=["x"])
    assert (made.params.temperature, made.params.top_k, made.params.stop, made.seed) == (0, 3, ("x",), 7)
    assert (made.service_tier, made.metadata) == (ServiceTier.FLEX, {"a": "b"})


NULLS = [name for name in COMPLETION_REQUEST.json_schema()["properties"] if name not in {"model", "prompt"}]


@pytest.mark.parametrize("name", NULLS)
def test_null_is_as_good_as_nothing(name: str) -> None:
    assert plan(**{name: None}).params == plan().params


@pytest.mark.parametrize(
    ("sent", "param"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"prompt": {}}, "prompt"),
        ({"prompt": ["a", ""]}, "prompt[1]"),
        ({"prompt": ["a", 5]}, "prompt[1]"),
        ({"prompt": [5, "a"]}, "prompt[1]"),
        ({"prompt": [5, -1]}, "prompt[1]"),
        ({"prompt": [5, True]}, "prompt[1]"),
        ({"prompt": [5, 999999]}, "prompt[1]"),
        ({"prompt": [[5], []]}, "prompt[1]"),
        ({"prompt": [[5], [6, 999999]]}, "prompt[1][1]"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": ["a"] * 65, "n": 2}, "prompt"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"best_of": 21}, "best_of"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"best_of": 2, "stream": True}, "best_of"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"echo": True, "logprobs": 1, "stream": True}, "stream"),
        ({"stream_options": {}}, "stream_options"),
        ({"messages": []}, "messages"),
    ],
)
def test_wrong_value_is_refused_by_its_field(sent: dict[str, Any], param: str) -> None:
    assert refusal(COMPLETION_REQUEST, completion_plan, {**BODY, **sent}).param == param


def test_prompt_must_fit_the_context_with_what_is_to_be_generated() -> None:
    long = [5] * 8192
    assert plan(prompt=long, max_tokens=0, echo=True).params.max_tokens == 0
    assert plan(prompt=long[:-3]).params.max_tokens == 3
    for sent, param in (({}, "prompt"), ({"max_tokens": 1}, "prompt")):
        error = refusal(COMPLETION_REQUEST, completion_plan, {**BODY, "prompt": [[5], long], **sent})
        assert isinstance(error, ContextLengthExceeded)
        assert error.param == param
    error = refusal(COMPLETION_REQUEST, completion_plan, {**BODY, "prompt": long[:-3], "max_tokens": 4})
    assert error.param == "max_tokens"


def test_embedding_model_completes_nothing() -> None:
    with pytest.raises(ModelNotSupported):
        plan(model="minilm")

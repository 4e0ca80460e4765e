"""Models through OpenAI's own client."""

import pytest
from openai import AsyncOpenAI, NotFoundError, OpenAI

from tests.acceptance.async_sdk import run_async
from tests.acceptance.conftest import LiveServer


def test_models_are_listed(sdk: OpenAI, live_server: LiveServer) -> None:
    names = {"smollm2-135m-instruct", "all-minilm-l6-v2"}
    assert {model.id for model in sdk.models.list()} == names

    async def use(client: AsyncOpenAI) -> set[str]:
        return {model.id async for model in client.models.list()}

    assert run_async(live_server, use) == names


def test_model_is_read_by_name_or_alias(sdk: OpenAI) -> None:
    for name in ("smollm2-135m-instruct", "smollm2"):
        model = sdk.models.retrieve(name)
        assert (model.id, model.object, model.owned_by) == ("smollm2-135m-instruct", "model", "tokenmill")


def test_unknown_model_is_not_found(sdk: OpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        sdk.models.retrieve("gpt-9")
    assert caught.value.code == "model_not_found"

"""Each error class that OpenAI's client raises for what we refuse."""

from typing import Any

import pytest
from openai import (
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    OpenAI,
    OpenAIError,
    PermissionDeniedError,
    RateLimitError,
)

from tests.acceptance.async_sdk import run_async
from tests.acceptance.conftest import LiveServer, RunTokenmill

CHAT: dict[str, Any] = {
    "model": "smollm2",
    "messages": [{"role": "user", "content": "hi"}],
    "max_tokens": 2,
}


@pytest.mark.parametrize(
    ("change", "error", "param", "code"),
    [
        ({"temperature": 3}, BadRequestError, "temperature", "invalid_value"),
        ({"messages": []}, BadRequestError, "messages", "invalid_value"),
        ({"verbosity": "low"}, BadRequestError, "verbosity", "unsupported_parameter"),
        ({"extra_body": {"bogus": 1}}, BadRequestError, "bogus", "unknown_parameter"),
        (
            {"messages": [{"role": "user", "content": "mill " * 9000}]},
            BadRequestError,
            "messages",
            "context_length_exceeded",
        ),
        ({"model": "gpt-9"}, NotFoundError, "model", "model_not_found"),
        ({"model": "minilm"}, BadRequestError, "model", "unsupported_model"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_refusal_is_raised_by_its_class(
    sdk: OpenAI, change: dict[str, Any], error: type[APIStatusError], param: str, code: str, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        sdk.chat.completions.create(**CHAT | change, stream=stream)
    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.request_id


def test_wrong_key_is_an_authentication_error(sdk: OpenAI, live_server: LiveServer) -> None:
    stranger = sdk.with_options(api_key="tm-nobody")
    with pytest.raises(AuthenticationError):
        stranger.chat.completions.create(**CHAT)
    with pytest.raises(AuthenticationError):
        run_async(live_server, lambda client: client.with_options(api_key="tm-nobody").models.list())


def test_key_that_only_reads_may_not_generate(live_server: LiveServer, tokenmill: RunTokenmill) -> None:
    database = {"DATABASE_URL": live_server.database_url}
    tokenmill("projects", "create", "readers", **database)
    key = tokenmill("keys", "create", "--project", "readers", "--scope", "read", **database).stdout.strip()
    with OpenAI(base_url=f"{live_server.url}/v1", api_key=key) as client:
        assert client.models.list().data
        with pytest.raises(PermissionDeniedError) as caught:
            client.chat.completions.create(**CHAT)
    assert caught.value.code == "insufficient_scope"


def test_idempotency_key_for_another_body_is_a_conflict(sdk: OpenAI) -> None:
    key = {"Idempotency-Key": "sdk-errors-1"}
    first = sdk.chat.completions.create(**CHAT, extra_headers=key)
    assert sdk.chat.completions.create(**CHAT, extra_headers=key).id == first.id
    # Retrying does not help, and the client is told so.
    with pytest.raises(ConflictError) as caught:
        sdk.with_options(max_retries=2).chat.completions.create(**CHAT | {"max_tokens": 3}, extra_headers=key)
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_body_that_is_too_large_is_a_413(sdk: OpenAI) -> None:
    huge = [{"role": "user", "content": "x" * 5_000_000}]
    with pytest.raises(APIStatusError) as caught:
        sdk.chat.completions.create(**CHAT | {"messages": huge})
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


def test_exhausted_budget_is_a_rate_limit_error_not_to_be_retried(
    live_server: LiveServer, tokenmill: RunTokenmill
) -> None:
    database = {"DATABASE_URL": live_server.database_url}
    tokenmill("projects", "create", "penniless", "--limit-usd", "0.00000001", **database)
    key = tokenmill("keys", "create", "--project", "penniless", **database).stdout.strip()
    with (
        OpenAI(base_url=f"{live_server.url}/v1", api_key=key) as client,
        pytest.raises(RateLimitError) as caught,
    ):
        client.chat.completions.create(**CHAT)
    assert (caught.value.type, caught.value.code) == ("insufficient_quota", "insufficient_quota")
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_client_that_does_not_wait_has_a_time_out_of_its_own(sdk: OpenAI) -> None:
    hasty = sdk.with_options(timeout=0.05)
    with pytest.raises(APITimeoutError):
        hasty.chat.completions.create(**CHAT | {"max_tokens": 4000, "extra_body": {"ignore_eos": True}})


def test_every_one_of_them_is_an_openai_error(sdk: OpenAI) -> None:
    with pytest.raises(OpenAIError):
        sdk.chat.completions.retrieve("chatcmpl-nothing")

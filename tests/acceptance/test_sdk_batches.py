"""The SDK's `batches`, unmodified, against the live platform."""

import asyncio
import json
import threading
from collections.abc import Iterable
from typing import Any, Literal

import httpx
import openai
import pytest
from openai.types import Batch

from tests.acceptance.conftest import LiveServer

BatchEndpoint = Literal["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"]
CHAT: BatchEndpoint = "/v1/chat/completions"
ENDED = ("completed", "failed", "expired", "cancelled")


def chat(number: int, *, max_tokens: int = 8, **more: Any) -> dict[str, Any]:
    asked = f"Say the number {number}."
    body = {"model": "smollm2", "messages": [{"role": "user", "content": asked}], "max_tokens": max_tokens}
    return {"custom_id": f"chat-{number}", "method": "POST", "url": CHAT, "body": body | more}


def line(endpoint: BatchEndpoint, number: int, **body: Any) -> dict[str, Any]:
    return {"custom_id": f"line-{number}", "method": "POST", "url": endpoint, "body": body}


def upload(client: openai.OpenAI, lines: Iterable[object]) -> str:
    content = "".join(json.dumps(one) + "\n" for one in lines).encode()
    return client.files.create(file=("lines.jsonl", content), purpose="batch").id


def start(
    client: openai.OpenAI,
    lines: Iterable[object],
    endpoint: BatchEndpoint = CHAT,
    **extensions: object,
) -> Batch:
    return client.batches.create(
        input_file_id=upload(client, lines),
        endpoint=endpoint,
        completion_window="24h",
        metadata={"made": "here"},
        extra_body=extensions,
    )


def until(client: openai.OpenAI, batch: Batch, *statuses: str) -> Batch:
    pause = threading.Event()
    for _ in range(1200):
        batch = client.batches.retrieve(batch.id)
        if batch.status in (statuses or ENDED):
            return batch
        pause.wait(0.1)
    raise AssertionError(f"never {statuses}: {batch}")


def results(client: openai.OpenAI, file_id: str | None) -> dict[str, dict[str, Any]]:
    assert file_id is not None
    lines = [json.loads(one) for one in client.files.content(file_id).iter_lines()]
    return {one["custom_id"]: one for one in lines}


def test_batch_of_chats_is_created_watched_and_read(sdk: openai.OpenAI) -> None:
    batch = start(sdk, [chat(number, temperature=0) for number in range(5)])
    assert (batch.object, batch.endpoint, batch.completion_window) == ("batch", CHAT, "24h")
    assert batch.status in ("validating", "in_progress")
    assert batch.metadata == {"made": "here"}
    done = until(sdk, batch)
    assert done.status == "completed", done
    assert done.model == "smollm2-135m-instruct"
    assert done.created_at <= (done.in_progress_at or 0) <= (done.finalizing_at or 0)
    assert (done.finalizing_at or 0) <= (done.completed_at or 0) <= (done.expires_at or 0)
    assert done.request_counts is not None
    assert (done.request_counts.total, done.request_counts.completed) == (5, 5)
    answers = results(sdk, done.output_file_id)
    assert set(answers) == {f"chat-{number}" for number in range(5)}
    bodies = [
        openai.types.chat.ChatCompletion.model_validate(one["response"]["body"]) for one in answers.values()
    ]
    assert done.usage is not None
    assert sum(body.usage.prompt_tokens for body in bodies if body.usage) == done.usage.input_tokens
    assert sum(body.usage.completion_tokens for body in bodies if body.usage) == done.usage.output_tokens
    assert {body.service_tier for body in bodies} == {"default"}
    file = sdk.files.retrieve(done.output_file_id or "")
    assert (file.purpose, file.bytes) == ("batch_output", len(sdk.files.content(file.id).content))
    assert file.id in [one.id for one in sdk.files.list(purpose="batch_output")]


@pytest.mark.parametrize(
    ("endpoint", "body", "shown"),
    [
        ("/v1/completions", {"model": "smollm2", "prompt": "One, two,", "max_tokens": 4}, "text_completion"),
        ("/v1/responses", {"model": "smollm2", "input": "Hello", "max_output_tokens": 4}, "response"),
        ("/v1/embeddings", {"model": "minilm", "input": ["a river", "a stream"]}, "list"),
    ],
)
def test_batch_of_any_endpoint_has_bodies_of_its_own(
    sdk: openai.OpenAI, endpoint: BatchEndpoint, body: dict[str, Any], shown: str
) -> None:
    done = until(sdk, start(sdk, [line(endpoint, number, **body) for number in range(3)], endpoint))
    assert done.status == "completed", done
    answers = results(sdk, done.output_file_id)
    assert {one["response"]["body"]["object"] for one in answers.values()} == {shown}


def test_results_are_read_while_the_batch_runs(sdk: openai.OpenAI) -> None:
    long = chat(1, max_tokens=1500, ignore_eos=True)
    batch = until(sdk, start(sdk, [chat(0), long]), "in_progress")
    pause, seen = threading.Event(), b""
    for _ in range(300):
        seen = sdk.files.content(batch.output_file_id or "").content
        if seen:
            break
        pause.wait(0.1)
    assert json.loads(seen)["custom_id"] == "chat-0"
    assert sdk.batches.retrieve(batch.id).status == "in_progress"
    sdk.batches.cancel(batch.id)
    done = until(sdk, batch)
    assert done.status == "cancelled"
    assert sdk.files.content(done.output_file_id or "").content == seen
    (cut_short,) = results(sdk, done.error_file_id).values()
    assert (cut_short["custom_id"], cut_short["response"]) == ("chat-1", None)
    assert cut_short["error"]["code"] == "batch_cancelled"
    assert sdk.batches.cancel(batch.id).status == "cancelled"


def test_faults_of_a_file_are_told_with_their_lines(sdk: openai.OpenAI) -> None:
    wrong = [chat(0), chat(1, temperature="hot"), {**chat(2), "url": "/v1/embeddings"}, chat(0)]
    done = until(sdk, start(sdk, wrong))
    assert (done.status, done.output_file_id) == ("failed", None)
    assert done.failed_at is not None
    assert done.errors is not None
    found = [(error.line, error.param) for error in done.errors.data or []]
    assert found == [(2, "body.temperature"), (3, "url"), (4, "custom_id")]


def test_invalid_lines_are_skipped_where_that_is_wanted(sdk: openai.OpenAI) -> None:
    done = until(sdk, start(sdk, [chat(0), chat(1, temperature="hot")], on_invalid_line="skip"))
    assert done.status == "completed"
    assert done.request_counts is not None
    assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
    (refused,) = results(sdk, done.error_file_id).values()
    assert (refused["custom_id"], refused["response"]["status_code"]) == ("chat-1", 400)


def test_batch_that_could_cost_too_much_does_not_run(sdk: openai.OpenAI) -> None:
    done = until(sdk, start(sdk, [chat(0)], max_cost_usd="0.00000001"))
    assert done.status == "failed"
    assert done.errors is not None
    assert [error.code for error in done.errors.data or []] == ["max_cost_exceeded"]


def test_two_hundred_and_fifty_batches_are_listed_page_by_page(sdk: openai.OpenAI) -> None:
    file_id = upload(sdk, [{**chat(0), "url": "/v1/embeddings"}])
    made = [
        sdk.batches.create(input_file_id=file_id, endpoint=CHAT, completion_window="24h").id
        for _ in range(250)
    ]
    listed = [batch.id for batch in sdk.batches.list(limit=100)]
    assert listed[:250] == made[::-1]
    assert next(iter(sdk.batches.list(after=made[1], limit=1))).id == made[0]


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"completion_window": "8d"}, "completion_window"),
        ({"endpoint": "/v1/moderations"}, "endpoint"),
        ({"metadata": {"k" * 65: "v"}}, "metadata." + "k" * 65),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 60}}, "output_expires_after.seconds"),
    ],
)
def test_wrong_batch_is_a_400_that_names_the_field(
    sdk: openai.OpenAI, change: dict[str, Any], param: str
) -> None:
    wanted: dict[str, Any] = {"input_file_id": "file-1", "endpoint": CHAT, "completion_window": "24h"}
    with pytest.raises(openai.BadRequestError) as refused:
        sdk.batches.create(**wanted | change)
    assert refused.value.param == param


def test_batch_that_is_not_there_is_a_404(sdk: openai.OpenAI) -> None:
    for ask in (sdk.batches.retrieve, sdk.batches.cancel):
        with pytest.raises(openai.NotFoundError) as missing:
            ask("batch_nothing")
        assert missing.value.code == "batch_not_found"


def test_anothers_batch_is_not_there(sdk: openai.OpenAI, other_client: httpx.Client) -> None:
    batch = until(sdk, start(sdk, [chat(0)]))
    for method, path in (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")):
        answer = other_client.request(method, f"/v1/batches/{batch.id}{path}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "batch_not_found")
    assert other_client.get(f"/v1/files/{batch.output_file_id}/content").status_code == 404


def test_asynchronous_client_does_the_same(live_server: LiveServer) -> None:
    async def run() -> None:
        async with openai.AsyncOpenAI(base_url=f"{live_server.url}/v1", api_key=live_server.key) as client:
            content = (json.dumps(chat(0)) + "\n").encode()
            file = await client.files.create(file=("one.jsonl", content), purpose="batch")
            batch = await client.batches.create(input_file_id=file.id, endpoint=CHAT, completion_window="24h")
            while batch.status not in ENDED:
                await asyncio.sleep(0.1)
                batch = await client.batches.retrieve(batch.id)
            assert batch.status == "completed"
            first = await anext(aiter(client.batches.list(limit=1)))
            assert first == batch

    asyncio.run(run())

"""What the chat endpoints make of requests and results; what is behind them is tested where it lives."""

from typing import Any

import pytest
from flask import Response
from flask.testing import FlaskClient

from tasks import stored_chats
from tasks.errors import JobNotFound
from tasks.job_queries import JobFilter
from tasks.job_results import ResultPage
from tasks.plan import JobPlan
from tasks.result import Choice, JobResult
from tasks.wire.chat_chunks import ChatChunks
from tests.unit.tasks.wire.results import DIGITS, make_result
from tests.unit.web.conftest import AUTHORIZED
from web import generation

PATH = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "smollm2", "messages": [{"role": "user", "content": "hi"}]}
RESULT = make_result(BODY, [Choice(text="Hello.", token_ids=(5,), finish_reason="stop")], stored=True)


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[JobPlan]:
    made: list[JobPlan] = []

    def answer(plan: JobPlan) -> JobResult:
        made.append(plan)
        return RESULT

    monkeypatch.setattr(generation, "answer", answer)
    return made


def test_chat_is_answered(client: FlaskClient, plans: list[JobPlan]) -> None:
    response = client.post(PATH, json={**BODY, "store": True}, headers=AUTHORIZED)
    assert response.status_code == 200
    assert response.get_json()["choices"][0]["message"]["content"] == "Hello."
    assert plans[0].stored


def test_chat_is_streamed_when_asked(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    renderers: list[object] = []

    def stream(plan: JobPlan, renderer: object) -> Response:
        renderers.append(renderer)
        return Response("data: x\n\n", mimetype="text/event-stream")

    monkeypatch.setattr(generation, "stream", stream)
    response = client.post(PATH, json={**BODY, "stream": True}, headers=AUTHORIZED)
    assert response.mimetype == "text/event-stream"
    assert isinstance(renderers[0], ChatChunks)


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            0,
        ),
        ({"messages": [{"role": "wizard"}]}, "messages[0].role", "invalid_value"),
        ({"audio": {}}, "audio", "unsupported_parameter"),
        ({"bogus": 1}, "bogus", "unknown_parameter"),
        ({"model": "minilm"}, "model", "unsupported_model"),
    ],
)
def test_refusal_names_the_field(
    client: FlaskClient, change: dict[str, Any], param: str, code: object
) -> None:
    response = client.post(PATH, json={**BODY, **change}, headers=AUTHORIZED)
    assert response.status_code == 400
    error = response.get_json()["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert error["code"] == (code or "invalid_value")


def test_unknown_model_is_a_404(client: FlaskClient) -> None:
    response = client.post(PATH, json={**BODY, "model": "gpt-9"}, headers=AUTHORIZED)
    assert (response.status_code, response.get_json()["error"]["code"]) == (404, "model_not_found")


def test_list_is_of_the_model_meant_and_has_its_ends(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: list[JobFilter] = []

    def list_chats(project_id: str, job_filter: JobFilter) -> ResultPage:
        wanted.append(job_filter)
        return ResultPage([RESULT], has_more=True)

    monkeypatch.setattr(stored_chats, "list_chats", list_chats)
    page = client.get(f"{PATH}?limit=1&model=smollm2&metadata[a]=b", headers=AUTHORIZED).get_json()
    chat_id = f"chatcmpl-{DIGITS}"
    assert (page["first_id"], page["last_id"], page["has_more"]) == (chat_id, chat_id, True)
    assert (wanted[0].model, wanted[0].order, wanted[0].metadata) == (
        "smollm2-135m-instruct",
        "asc",
        {"a": "b"},
    )
    client.get(f"{PATH}?model=gpt-9", headers=AUTHORIZED)
    assert wanted[1].model == "gpt-9"


def test_stored_chat_is_read_changed_and_deleted(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[Any, ...]] = []
    monkeypatch.setattr(stored_chats, "get_chat", lambda *args: RESULT)

    def note(*args: object) -> JobResult:
        calls.append(args)
        return RESULT

    monkeypatch.setattr(stored_chats, "set_chat_metadata", note)
    monkeypatch.setattr(stored_chats, "delete_chat", note)
    assert client.get(f"{PATH}/c1", headers=AUTHORIZED).get_json()["id"] == f"chatcmpl-{DIGITS}"
    for metadata in ({"a": "b"}, None):
        assert client.post(f"{PATH}/c1", json={"metadata": metadata}, headers=AUTHORIZED).status_code == 200
    assert client.delete(f"{PATH}/c1", headers=AUTHORIZED).get_json() == {
        "id": "c1",
        "object": "chat.completion.deleted",
        "deleted": True,
    }
    assert calls == [("proj_1", "c1", {"a": "b"}), ("proj_1", "c1", {}), ("proj_1", "c1")]


def test_messages_come_in_pages(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_chats, "get_chat", lambda *args: RESULT)
    page = client.get(f"{PATH}/c1/messages", headers=AUTHORIZED).get_json()
    assert [(message["role"], message["content"]) for message in page["data"]] == [("user", "hi")]
    response = client.get(f"{PATH}/c1/messages?after=x", headers=AUTHORIZED)
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, "after")


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_chat_that_is_not_there_is_a_404(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    def missing(*args: object) -> JobResult:
        raise JobNotFound

    monkeypatch.setattr(stored_chats, "get_result", missing)
    body: dict[str, Any] = {"json": {"metadata": {}}} if method == "post" else {}
    response = client.open(f"{PATH}/chatcmpl-x", method=method, headers=AUTHORIZED, **body)
    assert response.status_code == 404
    assert response.get_json()["error"]["code"] == "completion_not_found"

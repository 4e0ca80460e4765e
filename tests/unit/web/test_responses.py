"""What the responses API makes of requests; what is behind it is tested where it lives."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Response
from flask.testing import FlaskClient

from tasks import admission, responses
from tasks.admission import Submission
from tasks.item_page import ItemFilter
from tasks.models import JobStatus
from tasks.plan import JobPlan
from tasks.result import JobResult
from tasks.wire.shown_items import ItemListBody, item_list
from tests.unit.tasks.wire.responses import DIGITS, response
from tests.unit.web.conftest import AUTHORIZED
from web import generation

BODY = {"model": "smollm2", "input": "hi"}
RESPONSE_ID = f"resp_{DIGITS}"
QUEUED = response(status=JobStatus.QUEUED, request={"background": True})


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[JobPlan]:
    """The plans that are answered, with "hello" for the answer."""
    answered: list[JobPlan] = []

    def answer(plan: JobPlan) -> JobResult:
        answered.append(plan)
        return response("hello")

    monkeypatch.setattr(generation, "answer", answer)
    return answered


@pytest.fixture
def resumed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many events are left out of each stream that is resumed."""
    seen: list[int] = []

    def resume(project_id: str, job_id: str, renderer: object, *, after: int) -> Response:
        seen.append(after)
        return Response("", mimetype="text/event-stream")

    monkeypatch.setattr(generation, "resume", resume)
    monkeypatch.setattr(responses, "get", lambda project_id, response_id: response("hello"))
    return seen


def test_response_is_answered(client: FlaskClient, plans: list[JobPlan]) -> None:
    body = client.post("/v1/responses", json=BODY, headers=AUTHORIZED).get_json()
    assert (body["id"], body["status"]) == (RESPONSE_ID, "completed")
    assert body["output"][0]["content"][0]["text"] == "hello"
    assert plans[0].stored


def test_one_in_the_background_is_not_waited_for(
    client: FlaskClient, plans: list[JobPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {}

    def submit(principal: object, plan: JobPlan, **given: Any) -> Submission:
        options.update(given)
        return Submission(QUEUED.job, replayed=False)

    monkeypatch.setattr(admission, "submit", submit)
    headers = {**AUTHORIZED, "Idempotency-Key": "k1"}
    answer = client.post("/v1/responses", json={**BODY, "background": True}, headers=headers)
    assert (answer.get_json()["status"], answer.get_json()["background"]) == ("queued", True)
    assert answer.headers["x-tokenmill-job-id"] == QUEUED.job.id
    assert options["idempotency_key"] == "k1"
    assert plans == []


def test_stream_is_made_of_the_plan(
    client: FlaskClient, plans: list[JobPlan], monkeypatch: pytest.MonkeyPatch
) -> None:
    streamed: list[JobPlan] = []

    def stream(plan: JobPlan, renderer: object) -> Response:
        streamed.append(plan)
        return Response("", mimetype="text/event-stream")

    monkeypatch.setattr(generation, "stream", stream)
    for background in (False, True):
        body = {**BODY, "stream": True, "background": background}
        assert client.post("/v1/responses", json=body, headers=AUTHORIZED).mimetype == "text/event-stream"
    assert (len(streamed), plans) == (2, [])


@pytest.mark.parametrize(
    ("query", "after"),
    [("stream=true", 0), ("stream=true&starting_after=0", 1), ("stream=true&starting_after=41", 42)],
)
def test_stream_is_resumed_behind_what_was_seen(
    client: FlaskClient, resumed: list[int], query: str, after: int
) -> None:
    assert client.get(f"/v1/responses/{RESPONSE_ID}?{query}", headers=AUTHORIZED).status_code == 200
    assert resumed == [after]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("starting_after=3", "starting_after"),
        ("stream=true&starting_after=-1", "starting_after"),
        ("stream=maybe", "stream"),
        ("include_obfuscation=true", "include_obfuscation"),
        ("include[]=reasoning.encrypted_content", "include[0]"),
        ("include=x", "include"),
        ("surprise=1", "surprise"),
    ],
)
def test_wrong_query_is_refused_by_name(
    client: FlaskClient, resumed: list[int], query: str, param: str
) -> None:
    answer = client.get(f"/v1/responses/{RESPONSE_ID}?{query}", headers=AUTHORIZED)
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, param)


def test_include_is_taken_in_either_form(client: FlaskClient, resumed: list[int]) -> None:
    for query in ("include[]=message.output_text.logprobs", "include=message.output_text.logprobs"):
        answer = client.get(f"/v1/responses/{RESPONSE_ID}?{query}&stream=false", headers=AUTHORIZED)
        assert answer.get_json()["id"] == RESPONSE_ID
    assert resumed == []


def test_deleted_response_is_named(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(responses, "delete", lambda project_id, response_id: None)
    answer = client.delete(f"/v1/responses/{RESPONSE_ID}", headers=AUTHORIZED)
    assert answer.get_json() == {"id": RESPONSE_ID, "object": "response.deleted", "deleted": True}


def test_cancelled_response_is_shown(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    job = replace(QUEUED.job, status=JobStatus.CANCELLED)
    monkeypatch.setattr(responses, "cancel", lambda project_id, response_id: replace(QUEUED, job=job))
    answer = client.post(f"/v1/responses/{RESPONSE_ID}/cancel", headers=AUTHORIZED)
    assert (answer.status_code, answer.get_json()["status"]) == (200, "cancelled")


def test_tokens_of_an_input_are_counted(client: FlaskClient) -> None:
    answer = client.post("/v1/responses/input_tokens", json=BODY, headers=AUTHORIZED).get_json()
    assert answer["object"] == "response.input_tokens"
    assert answer["input_tokens"] > 1


def test_page_of_input_is_asked_for_as_the_query_says(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[ItemFilter] = []

    def list_input_items(project_id: str, response_id: str, wanted: ItemFilter) -> ItemListBody:
        asked.append(wanted)
        return item_list([], has_more=False)

    monkeypatch.setattr(responses, "list_input_items", list_input_items)
    path = f"/v1/responses/{RESPONSE_ID}/input_items"
    page = client.get(f"{path}?limit=3&order=asc&after=msg_1", headers=AUTHORIZED).get_json()
    assert page == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    client.get(path, headers=AUTHORIZED)
    assert asked == [ItemFilter(limit=3, after="msg_1", order="asc"), ItemFilter()]

from typing import Any

import pytest
from flask import Response
from flask.testing import FlaskClient

from tasks.plan import JobPlan
from tasks.result import Choice
from tasks.wire.completion_chunks import CompletionChunks
from tests.unit.tasks.wire.results import make_result
from tests.unit.web.conftest import AUTHORIZED
from web import generation

BODY: dict[str, Any] = {"model": "smollm2", "prompt": "One, "}


def test_completion_is_answered(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    result = make_result(BODY, [Choice(text="two", token_ids=(5,), finish_reason="stop")])
    monkeypatch.setattr(generation, "answer", lambda plan: result)
    answer = client.post("/v1/completions", json=BODY, headers=AUTHORIZED).get_json()
    assert (answer["object"], answer["choices"][0]["text"]) == ("text_completion", "two")


def test_completion_is_streamed_when_asked(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    renderers: list[object] = []

    def stream(plan: JobPlan, renderer: object) -> Response:
        renderers.append(renderer)
        return Response("data: x\n\n", mimetype="text/event-stream")

    monkeypatch.setattr(generation, "stream", stream)
    client.post("/v1/completions", json={**BODY, "stream": True}, headers=AUTHORIZED)
    assert isinstance(renderers[0], CompletionChunks)


@pytest.mark.parametrize(
    ("change", "param"),
    [({"prompt": {}}, "prompt"), ({"prompt": [[1], ["a"]]}, "prompt[1][0]"), ({"suffix": "x"}, "suffix")],
)
def test_refusal_names_the_field(client: FlaskClient, change: dict[str, Any], param: str) -> None:
    response = client.post("/v1/completions", json={**BODY, **change}, headers=AUTHORIZED)
    assert (response.status_code, response.get_json()["error"]["param"]) == (400, param)

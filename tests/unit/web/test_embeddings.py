from dataclasses import replace

import numpy as np
import pytest
from flask.testing import FlaskClient

from tests.unit.tasks.wire.results import make_result
from tests.unit.web.conftest import AUTHORIZED
from web import generation

BODY = {"model": "minilm", "input": ["a"]}


def test_vectors_are_answered(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    result = replace(make_result(BODY, []), vectors=np.array([[0.5, 0.25]], np.float32))
    monkeypatch.setattr(generation, "answer", lambda plan: result)
    answer = client.post("/v1/embeddings", json=BODY, headers=AUTHORIZED).get_json()
    assert answer["data"] == [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}]


def test_generating_model_embeds_nothing(client: FlaskClient) -> None:
    response = client.post("/v1/embeddings", json={**BODY, "model": "smollm2"}, headers=AUTHORIZED)
    error = response.get_json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, "model", "unsupported_model")

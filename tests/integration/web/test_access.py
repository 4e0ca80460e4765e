"""What keys and tokens open, over real connections."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tasks import keys, projects
from tasks.keys import KeyTerms
from tasks.scopes import EVERYTHING
from tasks.settings import settings
from tests.integration.web.conftest import Api
from tests.unit.tasks.issuer import AUDIENCE, Issuer, running_issuer

MODEL = "smollm2-135m-instruct"
JOB = {"type": "completion", "model": MODEL, "prompt": "Once", "max_tokens": 4}
VECTORS = {"model": "minilm", "input": "a river"}

As = Callable[..., httpx.Client]


@pytest.fixture
def project_id() -> str:
    return projects.create_project("acme").id


@pytest.fixture
def as_key(api: Api, project_id: str) -> As:
    """The client of a new key with such terms."""

    def client(*scopes: str, **terms: Any) -> httpx.Client:
        made = keys.create_key(project_id, "tests", scopes or EVERYTHING, KeyTerms(**terms))
        api.http.headers["Authorization"] = f"Bearer {made.secret}"
        return api.http

    return client


@pytest.fixture
def issuer(process: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Issuer]:
    with running_issuer() as running:
        monkeypatch.setenv("TOKENMILL_OIDC_ISSUER", running.url)
        monkeypatch.setenv("TOKENMILL_OIDC_AUDIENCE", AUDIENCE)
        settings.cache_clear()
        yield running


@pytest.fixture
def as_bearer(api: Api, issuer: Issuer, project_id: str) -> As:
    """The client of who bears a token with such claims."""

    def client(**claims: Any) -> httpx.Client:
        token = issuer.token("ec", **{"project": project_id, "role": "developer"} | claims)
        api.http.headers["Authorization"] = f"Bearer {token}"
        return api.http

    return client


def error(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_scope_of_one_resource_opens_no_other(as_key: As) -> None:
    client = as_key("jobs:read", "models:read")
    assert client.get("/v1/jobs").status_code == client.get("/v1/models").status_code == 200
    for method, path in (("POST", "/v1/jobs"), ("GET", "/v1/files"), ("POST", "/v1/chat/completions")):
        assert error(client.request(method, path, json={})) == (403, "insufficient_scope"), path


def test_conversation_takes_its_own_scope(as_key: As) -> None:
    body = {"model": MODEL, "input": "Hello", "conversation": "conv_1"}
    for path in ("/v1/responses", "/v1/responses/input_tokens"):
        assert error(as_key("responses:write").post(path, json=body)) == (403, "insufficient_scope")


def test_key_for_one_model_sees_and_runs_no_other(as_key: As) -> None:
    client = as_key(models=["minilm"])
    assert [model["id"] for model in client.get("/v1/models").json()["data"]] == ["all-minilm-l6-v2"]
    assert error(client.get(f"/v1/models/{MODEL}")) == (404, "model_not_found")
    refused = client.post("/v1/jobs", json=JOB)
    assert error(refused) == (403, "model_not_allowed")
    assert refused.json()["error"]["param"] == "model"
    assert client.get("/v1/jobs").json()["data"] == []


def test_key_is_refused_from_another_address(as_key: As, monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_key(networks=["127.0.0.0/8"]).get("/v1/models").status_code == 200
    client = as_key(networks=["192.0.2.0/24"])
    forwarded = {"X-Forwarded-For": "192.0.2.7"}
    assert error(client.get("/v1/models", headers=forwarded)) == (403, "address_not_allowed")
    monkeypatch.setenv("TOKENMILL_TRUSTED_PROXIES", "127.0.0.1")
    settings.cache_clear()
    assert client.get("/v1/models", headers=forwarded).status_code == 200
    chain = {"X-Forwarded-For": "192.0.2.7, 203.0.113.1"}
    assert error(client.get("/v1/models", headers=chain)) == (403, "address_not_allowed")


def test_token_submits_and_viewers_only_read(as_bearer: As) -> None:
    assert as_bearer().post("/v1/jobs", json=JOB).status_code == 202
    viewer = as_bearer(role="viewer")
    assert len(viewer.get("/v1/jobs").json()["data"]) == 1
    assert error(viewer.post("/v1/jobs", json=JOB)) == (403, "insufficient_scope")


def test_forged_token_is_a_401_and_foreign_project_a_403(as_bearer: As) -> None:
    assert error(as_bearer(aud="others").get("/v1/models")) == (401, "invalid_token")
    assert error(as_bearer(project="nowhere").get("/v1/models")) == (403, "no_project")


def test_issuer_that_is_away_is_a_503(as_bearer: As, issuer: Issuer) -> None:
    issuer.status = 500
    refused = as_bearer().get("/v1/models")
    assert error(refused) == (503, "identity_provider_unavailable")
    assert refused.headers["Retry-After"]


def test_end_user_sees_no_jobs_but_their_own(as_bearer: As) -> None:
    other = as_bearer().post("/v1/jobs", json=JOB).json()["id"]
    user = as_bearer(sub="grace", role="end_user")
    assert error(user.post("/v1/jobs", json=JOB)) == (403, "insufficient_scope")
    background = {"model": MODEL, "input": "Hello", "background": True}
    mine = user.post("/v1/responses", json=background).json()["id"].replace("resp_", "job_")
    assert [job["id"] for job in user.get("/v1/jobs").json()["data"]] == [mine]
    assert user.get(f"/v1/jobs/{mine}").status_code == 200
    for path in ("", "/result", "/events"):
        assert error(user.get(f"/v1/jobs/{other}{path}")) == (404, "job_not_found")
    chained = {"model": MODEL, "input": "More", "previous_response_id": other.replace("job_", "resp_")}
    assert error(user.post("/v1/responses", json=chained)) == (400, "previous_response_not_found")


def test_no_key_and_no_token_is_in_a_log_line(
    as_key: As, as_bearer: As, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level("DEBUG")
    clients = [as_key(), as_bearer()]
    sent = []
    for client in clients:
        client.get("/v1/models")
        sent.append(client.headers["Authorization"].removeprefix("Bearer "))
        client.get("/v1/models", headers={"Authorization": f"Bearer {sent[-1]}x"})
    # Wherever lines go in this process.
    written = repr([vars(record) for record in caplog.records]) + "".join(capfd.readouterr())
    assert written.count("/v1/models") >= 4
    assert not [secret for secret in sent if secret[:20] in written]

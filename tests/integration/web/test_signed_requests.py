"""Signed requests, with the client that the README shows, over real connections."""

import re
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from tasks import keys, nonces, projects, redis_client, signatures
from tasks.keys import KeyTerms
from tasks.known_keys import PREFIX_LENGTH
from tasks.settings import settings
from tests.integration.tasks.file_storage import use_storage
from tests.integration.web.conftest import Api
from tests.services.platform import REPOSITORY
from web import signed_requests

Change = Callable[[httpx.Request], None]


class Sender:
    """Sends what the README's client signs, changed on the way where a test says so."""

    def __init__(self, api: Api, secret: str) -> None:
        self.secret = secret
        self.sample: dict[str, Any] = {}
        block = re.search(r"^```py\n(.*?)^```", (REPOSITORY / "README.md").read_text(), re.M | re.S)
        assert block is not None
        exec(compile(block[1], "README.md", "exec"), self.sample)  # noqa: S102 - our own documentation
        self._http = api.http

    def request(self, method: str, path: str, **given: Any) -> httpx.Request:
        request = self._http.build_request(method, path, **given)
        request.read()
        return next(self.sample["Signed"](self.secret).auth_flow(request))

    def send(self, request: httpx.Request) -> httpx.Response:
        return self._http.send(request)

    def get(self, change: Change = lambda request: None) -> httpx.Response:
        request = self.request("GET", "/v1/models")
        change(request)
        return self.send(request)


@pytest.fixture
def signer(api: Api) -> Sender:
    made = keys.create_key(projects.create_project("acme").id, "signer", terms=KeyTerms(must_sign=True))
    return Sender(api, made.secret)


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def test_sdk_signs_with_the_client_of_the_readme(signer: Sender, api: Api) -> None:
    base_url = f"http://127.0.0.1:{api.address[1]}/v1"
    with signer.sample["signing_client"](signer.secret, base_url) as client:
        assert client.models.list().data
        assert client.responses.create(model="smollm2", input="Hi", background=True).status == "queued"


def test_key_itself_does_not_travel(signer: Sender) -> None:
    request = signer.request("POST", "/v1/jobs", json={"type": "chat"})
    assert request.headers["Authorization"] == f"Bearer {signer.secret[:PREFIX_LENGTH]}"
    assert signer.secret not in repr(request.headers.raw)
    assert refusal(signer.send(request))[0] == 400


def test_request_sent_again_is_a_replay(signer: Sender) -> None:
    request = signer.request("GET", "/v1/models")
    assert signer.send(request).status_code == 200
    assert refusal(signer.send(request)) == (401, "replayed_signature")


def test_replay_is_known_to_every_process_by_redis(
    signer: Sender, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    settings.cache_clear()
    request = signer.request("GET", "/v1/models")
    assert signer.send(request).status_code == 200
    redis_client.client.cache_clear()
    assert refusal(signer.send(request)) == (401, "replayed_signature")


def test_without_its_redis_no_signed_request_passes(signer: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{unused.getsockname()[1]}/0")
        settings.cache_clear()
        assert refusal(signer.get()) == (503, "replay_guard_unavailable")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (signed_requests.TIMESTAMP, "1"),
        (signed_requests.TIMESTAMP, "-1"),
        (signed_requests.TIMESTAMP, "now"),
        (signed_requests.NONCE, "another-nonce-of-16"),
        (signed_requests.NONCE, "short"),
        (signed_requests.CONTENT_SHA256, "0" * 64),
        (signed_requests.CONTENT_SHA256, "none"),
        (signed_requests.SIGNATURE, "0" * 64),
        (signed_requests.SIGNATURE, "é"),
        (signed_requests.SIGNATURE, ""),
    ],
)
def test_changed_header_breaks_the_signature(signer: Sender, name: str, value: str) -> None:
    def change(request: httpx.Request) -> None:
        request.headers[name] = value

    assert refusal(signer.get(change)) == (401, "invalid_signature")


@pytest.mark.parametrize("name", signed_requests.HEADERS)
def test_missing_header_is_named(signer: Sender, name: str) -> None:
    response = signer.get(lambda request: request.headers.__delitem__(name))
    assert refusal(response) == (401, "invalid_signature")
    assert name in response.json()["error"]["message"]


@pytest.mark.parametrize("seconds", [-301, 301])
def test_signature_of_another_time_is_stale(
    signer: Sender, seconds: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_clock = SimpleNamespace(time=lambda: time.time() + seconds * 1.01)
    monkeypatch.setitem(signer.sample, "time", other_clock)
    request = signer.request("GET", "/v1/models")
    assert refusal(signer.send(request)) == (401, "stale_signature")


def test_other_path_query_or_method_breaks_the_signature(signer: Sender) -> None:
    signed = signer.request("GET", "/v1/jobs?limit=1")
    for method, path in (("GET", "/v1/jobs?limit=2"), ("GET", "/v1/jobs"), ("POST", "/v1/jobs?limit=1")):
        other = httpx.Request(method, signed.url.join(path), headers=dict(signed.headers))
        assert refusal(signer.send(other)) == (401, "invalid_signature"), path
    assert signer.send(signed).status_code == 200


def test_changed_body_is_refused_before_anything_is_done(signer: Sender) -> None:
    job = {"type": "completion", "model": "smollm2", "prompt": "Once", "max_tokens": 4}
    signed = signer.request("POST", "/v1/jobs", json=job)
    changed = signed.content.replace(b"Once", b"Then")
    assert refusal(
        signer.send(httpx.Request("POST", signed.url, headers=signed.headers, content=changed))
    ) == (
        401,
        "invalid_signature",
    )
    assert signer.send(signer.request("GET", "/v1/jobs")).json()["data"] == []
    assert signer.send(signer.request("POST", "/v1/jobs", json=job)).status_code == 202


def test_file_is_taken_as_it_was_signed(
    signer: Sender, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_storage(str(tmp_path), monkeypatch)
    content = b'{"custom_id": "%s"}\n' % (b"1" * 400) * 5_000
    form = {"files": {"file": ("in.jsonl", content)}, "data": {"purpose": "batch"}}
    stored = signer.send(signer.request("POST", "/v1/files", **form))
    assert stored.status_code == 200, stored.text
    assert stored.json()["bytes"] == len(content)


def test_without_a_signature_neither_the_key_nor_its_prefix_opens(signer: Sender, api: Api) -> None:
    for token, code in (
        (signer.secret, "signature_required"),
        (signer.secret[:PREFIX_LENGTH], "invalid_api_key"),
    ):
        response = api.http.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
        assert refusal(response) == (401, code)


def test_prefix_of_a_key_that_need_not_sign_opens_nothing(api: Api, secret: str) -> None:
    sender = Sender(api, secret)
    request = sender.request("GET", "/v1/models")
    unknown = sender.request("GET", "/v1/models")
    unknown.headers["Authorization"] = "Bearer tm-000000000000"
    answers = [sender.send(each).json()["error"] for each in (request, unknown)]
    assert answers[0] == answers[1]
    whole = sender.request("GET", "/v1/models")
    whole.headers["Authorization"] = f"Bearer {secret}"
    assert sender.send(whole).status_code == 200


def test_rotated_key_signs_with_both_secrets(signer: Sender, api: Api) -> None:
    key_id = keys.list_keys(projects.find_project("acme").id)[0].id
    rotated = keys.rotate_key(key_id)
    assert signer.get().status_code == 200
    assert Sender(api, rotated.secret).get().status_code == 200


def test_memory_forgets_nonces_that_are_too_old_to_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now = nonces.Nonces(), [100.0]
    monkeypatch.setattr(nonces, "monotonic", lambda: now[0])
    assert seen.use("a", 600)
    assert not seen.use("a", 600)
    now[0] += 601
    assert seen.use("b", 600)
    assert list(seen._until) == ["b"]


def test_signature_is_what_the_documentation_says() -> None:
    request = signatures.SignedRequest(
        method="GET",
        target="/v1/models?a=1",
        timestamp="5",
        nonce="n" * 16,
        body_sha256="0" * 64,
        signature="",
    )
    assert request.message() == f"v1\nGET\n/v1/models?a=1\n5\n{'n' * 16}\n{'0' * 64}".encode()
    assert signatures.sign("tm-x", request) == signatures.sign("tm-x", replace(request, signature="s"))

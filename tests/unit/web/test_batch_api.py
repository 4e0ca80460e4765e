"""A client of batches, and a platform that comes and goes."""

import io
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug import Request, Response
from werkzeug.serving import ThreadedWSGIServer

from web.batch_client.api import BatchApi
from web.batch_client.errors import ApiRefusal, ClientFailure

CONTENT = bytes(range(256)) * 40
BODY: dict[str, Any] = {"id": "batch_1", "status": "completed", "created_at": 1}
Answer = Callable[[Request], Response]


class _Server(ThreadedWSGIServer):
    # Threads are waited for at the end, so that no connection outlives the test.
    daemon_threads = False


class Platform:
    """Answers each request with the next of its answers, the last one again and again."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.requests: list[Request] = []
        self._server = _Server("127.0.0.1", 0, self._serve)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.port}"

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for request in self.requests:
            request.close()

    def _serve(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        request = Request(environ)
        request.get_data()
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return answer(request)(environ, start_response)


@pytest.fixture
def serve() -> Iterator[Callable[..., Platform]]:
    started: list[Platform] = []

    def start(*answers: Answer) -> Platform:
        started.append(Platform(*answers))
        return started[-1]

    yield start
    for platform in started:
        platform.close()


def json_of(body: object, status: int = 200, **headers: str) -> Answer:
    def answer(_: Request) -> Response:
        response = Response(json.dumps(body), status, mimetype="application/json")
        response.headers.update(headers)
        return response

    return answer


def refusal(status: int, **headers: str) -> Answer:
    error = {"message": "Not now.", "type": "t", "param": None, "code": "c"}
    return json_of({"error": error}, status, **headers)


def cut_off(at: int) -> Answer:
    """Promises more than it sends."""

    def answer(request: Request) -> Response:
        start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
        response = Response(iter([CONTENT[start : start + at]]), 206 if start else 200)
        response.headers["Content-Length"] = str(len(CONTENT) - start)
        return response

    return answer


def rest(request: Request) -> Response:
    start = int((request.headers.get("Range") or "bytes=0-")[6:-1])
    return Response(CONTENT[start:], 206 if start else 200)


def no_more(_: Request) -> Response:
    return Response(status=416)


def api(platform: Platform, patience_seconds: float = 30) -> BatchApi:
    return BatchApi(platform.url, "tm-key", patience_seconds=patience_seconds)


def test_reading_is_tried_again_while_the_platform_is_away(serve: Callable[..., Platform]) -> None:
    platform = serve(refusal(503), refusal(502), json_of(BODY))
    with api(platform) as client:
        assert client.batch("batch_1").ended
    assert len(platform.requests) == 3
    assert platform.requests[0].headers["Authorization"] == "Bearer tm-key"


def test_patience_ends_with_what_was_said_last(serve: Callable[..., Platform]) -> None:
    with api(serve(refusal(503)), patience_seconds=0) as client, pytest.raises(ApiRefusal) as refused:
        client.batch("batch_1")
    assert (refused.value.message, refused.value.status, refused.value.code) == ("Not now.", 503, "c")


def test_refusal_that_stays_is_not_asked_for_again(serve: Callable[..., Platform]) -> None:
    platform = serve(refusal(429, **{"x-should-retry": "false"}))
    with api(platform) as client, pytest.raises(ApiRefusal):
        client.batch("batch_1")
    assert len(platform.requests) == 1


def test_what_creates_something_is_never_sent_twice(serve: Callable[..., Platform]) -> None:
    platform = serve(refusal(503), json_of(BODY))
    with api(platform) as client, pytest.raises(ApiRefusal):
        client.create({})
    assert len(platform.requests) == 1


def test_download_goes_on_where_it_broke_off(serve: Callable[..., Platform]) -> None:
    platform = serve(cut_off(1000), cut_off(500), refusal(503), rest)
    into = io.BytesIO()
    counted: list[int] = []
    with api(platform) as client:
        client.download("file-1", into, counted.append)
    assert into.getvalue() == CONTENT
    assert sum(counted) == len(CONTENT)
    ranges = [request.headers.get("Range") for request in platform.requests]
    assert ranges == [None, "bytes=1000-", "bytes=1500-", "bytes=1500-"]


def test_download_that_broke_off_at_the_very_end_is_whole(serve: Callable[..., Platform]) -> None:
    def all_but_the_end(_: Request) -> Response:
        response = Response(iter([CONTENT]))
        response.headers["Content-Length"] = str(len(CONTENT) + 1)
        return response

    into = io.BytesIO()
    with api(serve(all_but_the_end, no_more)) as client:
        client.download("file-1", into, lambda count: None)
    assert into.getvalue() == CONTENT


def test_upload_streams_the_file_and_says_how_far_it_is(
    serve: Callable[..., Platform], tmp_path: Path
) -> None:
    platform = serve(json_of({"id": "file-1"}))
    file = tmp_path / "in.jsonl"
    counted: list[int] = []
    file.write_bytes(CONTENT)
    with api(platform) as client:
        assert client.upload(file, "sent.jsonl", counted.append) == "file-1"
    sent = platform.requests[0]
    assert sent.form["purpose"] == "batch"
    assert (sent.files["file"].filename, sent.files["file"].read()) == ("sent.jsonl", CONTENT)
    assert sum(counted) == len(CONTENT)


def test_all_pages_are_read(serve: Callable[..., Platform]) -> None:
    first = {"data": [BODY, {**BODY, "id": "batch_0"}], "last_id": "batch_0", "has_more": True}
    platform = serve(json_of(first), json_of({"data": [BODY], "last_id": "batch_1", "has_more": False}))
    with api(platform) as client:
        assert [batch.id for batch in client.batches()] == ["batch_1", "batch_0", "batch_1"]
    assert [request.args.get("after") for request in platform.requests] == [None, "batch_0"]


def test_earlier_upload_is_found_by_name_and_size_while_it_lasts(serve: Callable[..., Platform]) -> None:
    files = [
        {"id": "file-4", "filename": "a", "bytes": 5, "expires_at": 99},
        {"id": "file-3", "filename": "a", "bytes": 6, "expires_at": None},
        {"id": "file-2", "filename": "b", "bytes": 5, "expires_at": 101},
        {"id": "file-1", "filename": "a", "bytes": 5, "expires_at": 101},
    ]
    with api(serve(json_of({"data": files}))) as client:
        assert client.find_file("a", 5, until=100) == "file-1"
        assert client.find_file("c", 5, until=100) is None


def test_answer_that_is_none_of_ours_is_told_by_its_status(serve: Callable[..., Platform]) -> None:
    def page(_: Request) -> Response:
        return Response("<h1>Nothing here</h1>", 404)

    with api(serve(page)) as client, pytest.raises(ApiRefusal, match="404"):
        client.batch("batch_1")


def test_platform_that_is_not_there_is_named() -> None:
    with BatchApi("http://127.0.0.1:1/", "k") as client, pytest.raises(ClientFailure) as away:
        client.create({})
    assert away.value.message.startswith("Can't reach http://127.0.0.1:1/v1: ")

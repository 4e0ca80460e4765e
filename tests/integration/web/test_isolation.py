"""Another project's object is not there, and nothing in how it is looked for tells that it exists (I6).

Generated from the OpenAPI document: an endpoint that is added is tried by itself, and one whose ids this
test does not know fails it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event

from tasks import db, key_uses, keys, known_keys, projects
from tasks.keys import Principal
from tests.integration.web.conftest import Api
from tests.integration.web.owned_objects import owned_objects
from web.openapi import document

pytestmark = pytest.mark.usefixtures("batch_storage")

VARIABLE = re.compile(r"{(\w+)}")
ADMIN = "/v1/organization/"
NOT_OWNED = {"/v1/models/{model}"}
PART = {"files": {"data": ("part", b"abc")}}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("post", "/v1/chat/completions/{completion_id}"): {"json": {"metadata": {}}},
    ("post", "/v1/conversations/{conversation_id}"): {"json": {"metadata": {}}},
    ("post", "/v1/conversations/{conversation_id}/items"): {
        "json": {"items": [{"type": "message", "role": "user", "content": "Hi"}]}
    },
    ("post", "/v1/uploads/{upload_id}/complete"): {"json": {"part_ids": ["part_1"]}},
    ("post", "/v1/uploads/{upload_id}/parts"): PART,
    ("post", "/v1/webhook_endpoints/{webhook_endpoint_id}"): {"json": {"name": "other"}},
    ("post", "/v1/webhook_endpoints/{webhook_endpoint_id}/rotate_secret"): {"json": {}},
    ("post", "/v1/webhook_endpoints/{webhook_endpoint_id}/test"): {"json": {"event_type": "batch.completed"}},
}


@pytest.fixture
def stranger(api: Api) -> Iterator[httpx.Client]:
    """A client of another project."""
    other = keys.create_key(projects.create_project("other").id, "other").secret
    headers = {"Authorization": f"Bearer {other}"}
    with httpx.Client(base_url=api.http.base_url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def owned(api: Api, principal: Principal) -> dict[str, str]:
    return owned_objects(api.http, principal)


def operations(api: Api) -> Iterator[tuple[str, str]]:
    for path, methods in document(api.app, frozenset())["paths"].items():
        if VARIABLE.search(path) and path not in NOT_OWNED:
            yield from ((method, path) for method in methods)


def at(path: str, ids: dict[str, str]) -> str:
    return VARIABLE.sub(lambda variable: ids[variable[1]], path)


def like(real_id: str) -> str:
    """An id of the same form that nobody has."""
    return real_id[:-6] + ("f" * 6 if real_id[-6:] != "f" * 6 else "e" * 6)


def sent(client: httpx.Client, method: str, path: str, ids: dict[str, str]) -> httpx.Response:
    return client.request(method, at(path, ids), **BODIES.get((method, path), {}))


@contextmanager
def statements() -> Iterator[list[str]]:
    """The SQL that this process runs meanwhile."""
    ran: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        ran.append(statement)

    event.listen(db.engine(), "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(db.engine(), "before_cursor_execute", note)


def test_anothers_objects_are_told_from_none_neither_by_the_answer_nor_by_the_work(
    api: Api, stranger: httpx.Client, owned: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is asked about a key once a second, and noted of its use, comes in nobody's way here.
    monkeypatch.setattr(known_keys, "CACHE_SECONDS", 600)
    stranger.get("/v1/jobs")
    key_uses._writer().submit(int).result()
    nobodys = {name: like(real_id) for name, real_id in owned.items()}
    tried = [(method, path) for method, path in operations(api) if not path.startswith(ADMIN)]
    for method, path in tried:
        with statements() as for_none:
            none = sent(stranger, method, path, nobodys)
        with statements() as for_anothers:
            anothers = sent(stranger, method, path, owned)
        assert (anothers.status_code, method, path) == (404, method, path), anothers.text
        assert none.status_code == 404, none.text
        assert without(anothers.text, owned) == without(none.text, nobodys)
        assert for_anothers == for_none, (method, path)
    assert len(tried) > 25


def test_nothing_that_a_stranger_tries_changes_an_object(
    api: Api, stranger: httpx.Client, owned: dict[str, str]
) -> None:
    readable = [
        (method, path)
        for method, path in operations(api)
        if method == "get"
        and not path.startswith(ADMIN)
        and not path.endswith(("/result", "/events", "/receipt"))
    ]
    before = [sent(api.http, method, path, owned) for method, path in readable]
    for method, path in operations(api):
        if not path.startswith(ADMIN):
            sent(stranger, method, path, owned)
    after = [sent(api.http, method, path, owned) for method, path in readable]
    assert [answer.status_code for answer in before] == [200] * len(readable)
    assert [answer.content for answer in after] == [answer.content for answer in before]


def test_lists_hold_nothing_of_another_project(
    api: Api, stranger: httpx.Client, owned: dict[str, str]
) -> None:
    paths = [
        path
        for path, methods in document(api.app, frozenset())["paths"].items()
        if "get" in methods and not VARIABLE.search(path) and path.startswith("/v1/")
    ]
    for path in paths:
        answer = stranger.get(path)
        assert not [real_id for real_id in owned.values() if real_id in answer.text], path


def test_project_keys_open_nothing_of_the_organization(api: Api, owned: dict[str, str]) -> None:
    for method, path in operations(api):
        if path.startswith(ADMIN):
            ids = dict.fromkeys(VARIABLE.findall(path), "proj_1")
            assert (sent(api.http, method, path, ids).status_code, path) == (403, path)


def without(text: str, ids: dict[str, str]) -> str:
    for real_id in ids.values():
        text = text.replace(real_id, "ID")
    return text

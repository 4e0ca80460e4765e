"""What is meant to break out of where it is put: of SQL, of headers, of the stack."""

import json
import re
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import func, select

from tasks import admin_keys
from tasks.actor import OPERATOR
from tasks.db import transaction
from tasks.models.base import Base
from tests.integration.tasks.conftest import MODEL
from tests.integration.web.conftest import Api
from web.openapi import document

pytestmark = pytest.mark.usefixtures("batch_storage")

VARIABLE = re.compile(r"{(\w+)}")
SQL = (
    "x' OR '1'='1",
    "x'; DROP TABLE jobs; --",
    "$$; SELECT pg_sleep(9); --",
    '") OR 1=1 --',
    "%' ESCAPE '!",
)
NAMES = ('a"\r\nX-Evil: 1\r\n\r\n', "a\nSet-Cookie: x=1", 'a"; filename="b', "ä\x85X-Evil: 1")
CHATS = {"model": MODEL, "messages": [{"role": "user", "content": "Once"}]}
DEEP = (50, 400, 900)


@pytest.fixture
def admin(api: Api) -> Iterator[httpx.Client]:
    _, secret = admin_keys.create_admin_key(OPERATOR, "tests")
    headers = {"Authorization": f"Bearer {secret}"}
    with httpx.Client(base_url=api.http.base_url, headers=headers, timeout=30) as client:
        yield client


def reads(api: Api) -> Iterator[tuple[str, list[str]]]:
    """Every address that is read, with the names of its query parameters."""
    for path, methods in document(api.app, frozenset())["paths"].items():
        if path.startswith("/v1/") and "get" in methods:
            asked = methods["get"].get("parameters", [])
            yield path, [one["name"] for one in asked if one["in"] == "query"]


def rows() -> dict[str, int]:
    """How many there are in each table."""
    with transaction() as connection:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in Base.metadata.tables.items()
        }


def nested(levels: int) -> str:
    """A schema, as text: a client's own encoder does not go so deep."""
    begin = '{"type": "object", "required": ["a"], "additionalProperties": false, "properties": {"a": '
    return begin * levels + '{"type": "string"}' + "}}" * levels


def test_sql_in_ids_and_parameters_is_only_text(api: Api, admin: httpx.Client) -> None:
    before = rows()
    tried = 0
    for path, parameters in reads(api):
        client = admin if path.startswith("/v1/organization/") else api.http
        for sql in SQL:
            answers = [client.get(VARIABLE.sub(sql, path))]
            plain = VARIABLE.sub("none_1", path)
            answers += [client.get(plain, params={name: sql}) for name in parameters]
            for answer in answers:
                assert answer.status_code in (200, 400, 403, 404), (answer.url, answer.text)
                assert "pg_sleep" not in answer.text or answer.status_code != 200, answer.url
            tried += len(answers)
    assert tried > 300
    assert rows() == before


def test_sql_in_a_body_is_stored_as_it_was_sent(api: Api) -> None:
    for sql in SQL:
        body = {"type": "completion", "model": MODEL, "prompt": sql, "metadata": {sql: sql}}
        answer = api.http.post("/v1/jobs", json=body, headers={"Idempotency-Key": sql})
        assert answer.status_code == 202, answer.text
        found = api.http.get(f"/v1/jobs/{answer.json()['id']}").json()
        assert found["metadata"] == {sql: sql}


@pytest.mark.parametrize("sql", SQL)
def test_sql_as_a_key_is_a_wrong_key(api: Api, sql: str) -> None:
    for secret in (sql, f"tm-{sql}", f"tm-admin-{sql}"):
        answer = api.http.get("/v1/jobs", headers={"Authorization": f"Bearer {secret}"})
        assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("name", NAMES)
def test_name_of_a_file_adds_no_header(api: Api, name: str) -> None:
    made = api.http.post(
        "/v1/files", data={"purpose": "batch"}, files={"file": (name, b'{"custom_id": "1"}\n', "text/plain")}
    )
    assert made.status_code in (200, 400), made.text
    if made.status_code == 200:
        content = api.http.get(f"/v1/files/{made.json()['id']}/content")
        assert content.status_code == 200
        assert not {"x-evil", "set-cookie"} & {header.lower() for header in content.headers}


def test_what_a_client_calls_its_request_adds_no_header(api: Api) -> None:
    answer = api.http.get("/v1/jobs", headers={"X-Client-Request-Id": "a\tX-Evil: 1"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "X-Client-Request-Id")


@pytest.mark.parametrize("levels", DEEP)
def test_deeply_nested_schemas_and_tools_are_taken_or_refused_by_name(api: Api, levels: int) -> None:
    schema = nested(levels)
    asked = {
        "response_format": '{"type": "json_schema", "json_schema": {"name": "deep", "schema": %s}}',
        "tools": '[{"type": "function", "function": {"name": "deep", "parameters": %s}}]',
        "metadata": "%s",
    }
    chat = json.dumps({"type": "chat", **CHATS})[:-1]
    for field, value in asked.items():
        body = f'{chat}, "{field}": {value % schema}}}'
        answer = api.http.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
        if answer.status_code != 202:
            error = answer.json()["error"]
            assert answer.status_code == 400, error
            assert (error["param"] or "").startswith(field) or "nested too deeply" in error["message"], error

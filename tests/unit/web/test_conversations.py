"""What the conversations API makes of requests; what is behind it is tested where it lives."""

from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks import conversation_items, conversations
from tasks.conversations import ConversationRecord
from tasks.wire.item_ids import item_id
from tasks.wire.shown_items import item_list, shown_item
from tests.unit.tasks.wire.responses import DIGITS, MESSAGE
from tests.unit.web.conftest import AUTHORIZED

RECORD = ConversationRecord(id="conv_1", metadata={"a": "b"}, created_at=datetime(2026, 1, 2, tzinfo=UTC))
SHOWN = {
    "id": "conv_1",
    "object": "conversation",
    "created_at": int(RECORD.created_at.timestamp()),
    "metadata": {"a": "b"},
}
ITEM = {"role": "user", "content": "hi"}


def test_conversation_is_made_with_its_items(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def create(*given: Any) -> ConversationRecord:
        made.append(given)
        return RECORD

    monkeypatch.setattr(conversation_items, "create_conversation", create)
    for body in ({"metadata": {"a": "b"}, "items": [ITEM]}, {}, {"metadata": None, "items": None}):
        assert client.post("/v1/conversations", json=body, headers=AUTHORIZED).get_json() == SHOWN
    assert made == [("proj_1", {"a": "b"}, [MESSAGE]), ("proj_1", {}, []), ("proj_1", {}, [])]


def test_metadata_is_replaced_and_null_removes_it(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, str]] = []

    def set_metadata(project_id: str, conversation_id: str, metadata: dict[str, str]) -> ConversationRecord:
        given.append(metadata)
        return RECORD

    monkeypatch.setattr(conversations, "set_metadata", set_metadata)
    for metadata in ({"c": "d"}, None):
        body = {"metadata": metadata}
        assert client.post("/v1/conversations/conv_1", json=body, headers=AUTHORIZED).get_json() == SHOWN
    assert given == [{"c": "d"}, {}]
    missing = client.post("/v1/conversations/conv_1", json={}, headers=AUTHORIZED)
    assert (missing.status_code, missing.get_json()["error"]["param"]) == (400, "metadata")


def test_deleted_conversation_is_named(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversations, "delete_conversation", lambda project_id, conversation_id: None)
    answer = client.delete("/v1/conversations/conv_1", headers=AUTHORIZED).get_json()
    assert answer == {"id": "conv_1", "object": "conversation.deleted", "deleted": True}


def test_items_are_added_and_shown_under_their_ids(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(project_id: str, conversation_id: str, items: list[Any]) -> Any:
        return item_list([shown_item(item, DIGITS, 0) for item in items], has_more=False)

    monkeypatch.setattr(conversation_items, "add_items", add)
    path = "/v1/conversations/conv_1/items"
    page = client.post(path, json={"items": [ITEM]}, headers=AUTHORIZED).get_json()
    assert page["data"] == [{**MESSAGE, "id": item_id("message", DIGITS, 0), "status": "completed"}]
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][0]["id"])


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "items"),
        ({"items": []}, "items"),
        ({"items": [ITEM] * 21}, "items"),
        ({"items": [{}]}, "items[0].role"),
    ],
)
def test_wrong_items_are_refused_by_name(client: FlaskClient, body: dict[str, Any], param: str) -> None:
    answer = client.post("/v1/conversations/conv_1/items", json=body, headers=AUTHORIZED)
    assert (answer.status_code, answer.get_json()["error"]["param"]) == (400, param)


def test_item_is_shown_by_itself(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_items, "get_item", lambda *given: shown_item(MESSAGE, DIGITS, 0))
    answer = client.get("/v1/conversations/conv_1/items/msg_1", headers=AUTHORIZED).get_json()
    assert (answer["type"], answer["id"]) == ("message", item_id("message", DIGITS, 0))


def test_removing_an_item_answers_the_conversation(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_items, "remove_item", lambda *given: RECORD)
    assert client.delete("/v1/conversations/conv_1/items/msg_1", headers=AUTHORIZED).get_json() == SHOWN

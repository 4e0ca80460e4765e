"""`client.webhooks` of OpenAI's own client, and what is ours beside it."""

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tasks import keys, projects
from tasks.settings import settings
from tests.integration.tasks.webhook_work import WebhookWork
from tests.integration.web.conftest import Api
from tests.unit.tasks.webhook_receiver import Receiver, receiving, status

URL = "https://hooks.example.com/told"
WANTED: dict[str, Any] = {"name": "results", "url": URL, "event_types": ["batch.completed"]}
ENDPOINTS = "/v1/webhook_endpoints"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("TOKENMILL_WEBHOOK_ALLOW_HTTP", "true")
    monkeypatch.setenv("TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "true")
    settings.cache_clear()
    with receiving() as started:
        yield started


@pytest.fixture
def sdk(api: Api, secret: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{api.http.base_url}/v1", api_key=secret, max_retries=0) as client:
        yield client


@pytest.fixture
def stranger(api: Api) -> Iterator[OpenAI]:
    """A client of another project."""
    other = keys.create_key(projects.create_project("other").id, "other").secret
    with OpenAI(base_url=f"{api.http.base_url}/v1", api_key=other, max_retries=0) as client:
        yield client


def refused(api: Api, path: str = ENDPOINTS, **changes: Any) -> dict[str, Any]:
    answer = api.http.post(path, json={**WANTED, **changes})
    assert answer.status_code == 400, answer.text
    error: dict[str, Any] = answer.json()["error"]
    return error


def test_endpoint_is_created_read_changed_listed_and_deleted(sdk: OpenAI) -> None:
    made = sdk.webhooks.create(**WANTED)
    assert made.signing_secret.startswith("whsec_")
    assert made.signing_secret_hint is not None
    assert made.signing_secret_hint.endswith(made.signing_secret[-4:])
    read = sdk.webhooks.retrieve(made.id)
    assert (read.name, read.url, read.event_types, read.object) == (
        "results",
        URL,
        ["batch.completed"],
        "webhook_endpoint",
    )
    assert "signing_secret" not in read.to_dict()
    changed = sdk.webhooks.update(made.id, name="all", event_types=["batch.failed", "batch.failed"])
    assert (changed.name, changed.url, changed.event_types) == ("all", URL, ["batch.failed"])
    assert [endpoint.id for endpoint in sdk.webhooks.list()] == [made.id]
    assert sdk.webhooks.delete(made.id).deleted
    assert list(sdk.webhooks.list()) == []
    with pytest.raises(openai.NotFoundError):
        sdk.webhooks.retrieve(made.id)


def test_change_that_changes_nothing_leaves_the_time_of_the_last(sdk: OpenAI) -> None:
    made = sdk.webhooks.create(**WANTED)
    before = sdk.webhooks.with_raw_response.retrieve(made.id).text
    sdk.webhooks.update(made.id, name="results", url=URL)
    assert sdk.webhooks.with_raw_response.retrieve(made.id).text == before


def test_lists_go_on_from_page_to_page(sdk: OpenAI) -> None:
    made = [sdk.webhooks.create(**WANTED).id for _ in range(5)]
    assert [endpoint.id for endpoint in sdk.webhooks.list(limit=2)] == made[::-1]
    with pytest.raises(openai.BadRequestError, match="after"):
        sdk.webhooks.list(after="whe_nobody")


def test_a_project_has_only_so_many_endpoints(api: Api, sdk: OpenAI) -> None:
    for _ in range(20):
        sdk.webhooks.create(**WANTED)
    assert refused(api)["code"] == "too_many_webhook_endpoints"


def test_types_of_events_are_listed_and_all_may_be_asked_for(sdk: OpenAI) -> None:
    types: Any = sdk.webhooks.event_types.list().data
    assert {"response.completed", "batch.cancelled", "job.expired", "budget.threshold_reached"} <= set(types)
    assert sdk.webhooks.create(name="all", url=URL, event_types=types).event_types == types


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"url": "http://hooks.example.com/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": "https://user:password@example.com/"}, "url"),
        ({"url": "https://example.com:22/"}, "url"),
        ({"url": 5}, "url"),
        ({"event_types": []}, "event_types"),
        ({"event_types": ["eval.run.failed"]}, "event_types[0]"),
        ({"event_types": ["batch.completed", 5]}, "event_types[1]"),
        ({"event_types": "batch.completed"}, "event_types"),
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"description": "a\x00b"}, "description"),
        ({"enabled": "yes"}, "enabled"),
        ({"secret": "whsec_mine"}, "secret"),
    ],
)
def test_wrong_field_is_refused_by_its_name(
    api: Api, sdk: OpenAI, changes: dict[str, Any], param: str
) -> None:
    assert refused(api, **changes)["param"] == param
    made = sdk.webhooks.create(**WANTED)
    assert refused(api, f"{ENDPOINTS}/{made.id}", **changes)["param"] == param
    assert sdk.webhooks.retrieve(made.id).url == URL


def test_secret_is_rotated_with_and_without_an_overlap(api: Api, sdk: OpenAI) -> None:
    made = sdk.webhooks.create(**WANTED)
    kept = sdk.webhooks.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
    assert kept.signing_secret != made.signing_secret
    shown = api.http.get(f"{ENDPOINTS}/{made.id}").json()
    assert 86_000 < shown["previous_secret_expires_at"] - shown["updated_at"] <= 86_400
    assert sdk.webhooks.rotate_secret(made.id).signing_secret != kept.signing_secret
    assert api.http.get(f"{ENDPOINTS}/{made.id}").json()["previous_secret_expires_at"] is None


def test_sample_is_sent_at_once_and_its_answer_shown(sdk: OpenAI, receiver: Receiver) -> None:
    made = sdk.webhooks.create(name="tests", url=receiver.url, event_types=["batch.completed"])
    receiver.answers = [status(418)]
    result = sdk.webhooks.test(made.id, event_type="response.failed")
    assert (result.status_code, result.success, result.webhook_endpoint_id) == (418, True, made.id)
    (received,) = receiver.received
    event = sdk.webhooks.unwrap(received.body, received.headers, secret=made.signing_secret)
    assert event.type == "response.failed"


def test_sample_that_is_not_answered_says_why(
    api: Api, sdk: OpenAI, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = sdk.webhooks.create(name="tests", url=receiver.url, event_types=["batch.completed"])
    monkeypatch.setenv("TOKENMILL_WEBHOOK_ALLOW_PRIVATE_ADDRESSES", "false")
    settings.cache_clear()
    with pytest.raises(openai.BadRequestError, match="not public") as error:
        sdk.webhooks.test(made.id, event_type="response.failed")
    assert error.value.code == "webhook_unreachable"
    answer = api.http.post(f"{ENDPOINTS}/{made.id}/test", json={"event_type": "nothing"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "event_type")


def test_deliveries_are_listed_read_and_replayed(
    api: Api, sdk: OpenAI, receiver: Receiver, secret: str
) -> None:
    made = sdk.webhooks.create(name="tests", url=receiver.url, event_types=["batch.completed"])
    work = WebhookWork(keys.authenticate(secret).project_id, receiver.url)
    for number in range(3):
        work.tell("batch.completed", f"batch_{number}")
    work.deliver()
    deliveries = f"{ENDPOINTS}/{made.id}/deliveries"
    page = api.http.get(deliveries, params={"limit": 2}).json()
    rest = api.http.get(deliveries, params={"after": page["last_id"], "status": "delivered"}).json()
    assert (len(page["data"]), page["has_more"], len(rest["data"]), rest["has_more"]) == (2, True, 1, False)
    assert api.http.get(deliveries, params={"status": "failed"}).json()["data"] == []
    assert api.http.get(deliveries, params={"after": "whd_nobody"}).json()["error"]["param"] == "after"
    one = api.http.get(f"{deliveries}/{page['first_id']}").json()
    assert (one["status"], one["attempts"], one["attempt_log"][0]["status_code"]) == ("delivered", 1, 204)
    assert one["body"] in [received.body for received in receiver.received]
    replayed = api.http.post(f"{deliveries}/{one['id']}/replay").json()
    assert (replayed["status"], replayed["event_id"]) == ("pending", one["event_id"])
    work.deliver()
    assert [received.event_id for received in receiver.received].count(one["event_id"]) == 2
    api.http.post(f"{ENDPOINTS}/{made.id}", json={"enabled": False})
    assert api.http.post(f"{deliveries}/{one['id']}/replay").status_code == 409


def test_another_projects_endpoint_can_not_be_told_from_none(
    api: Api, sdk: OpenAI, stranger: OpenAI, secret: str
) -> None:
    made = sdk.webhooks.create(**WANTED)
    work = WebhookWork(keys.authenticate(secret).project_id, URL)
    work.tell("batch.completed")
    delivery = work.deliveries(made.id)[0].id
    asks: list[Callable[[str, str], object]] = [
        lambda one, _: stranger.webhooks.retrieve(one),
        lambda one, _: stranger.webhooks.update(one, name="mine"),
        lambda one, _: stranger.webhooks.rotate_secret(one),
        lambda one, _: stranger.webhooks.test(one, event_type="batch.failed"),
        lambda one, _: stranger.webhooks.delete(one),
        lambda one, _: stranger.get(f"/webhook_endpoints/{one}/deliveries", cast_to=object),
        lambda one, other: stranger.get(f"/webhook_endpoints/{one}/deliveries/{other}", cast_to=object),
        lambda one, other: stranger.post(
            f"/webhook_endpoints/{one}/deliveries/{other}/replay", cast_to=object
        ),
    ]
    for ask in asks:
        messages = []
        for endpoint_id, delivery_id in ((made.id, delivery), ("whe_nobody", "whd_nobody")):
            with pytest.raises(openai.NotFoundError) as error:
                ask(endpoint_id, delivery_id)
            messages.append(error.value.message.replace(endpoint_id, ""))
        assert messages[0] == messages[1]
    assert list(stranger.webhooks.list()) == []
    assert sdk.webhooks.retrieve(made.id).name == "results"


def test_key_that_only_reads_changes_nothing(api: Api, sdk: OpenAI, secret: str) -> None:
    made = sdk.webhooks.create(**WANTED)
    reading = keys.create_key(keys.authenticate(secret).project_id, "reader", scopes=["read"]).secret
    with sdk.with_options(api_key=reading) as reader:
        assert reader.webhooks.retrieve(made.id).id == made.id
        with pytest.raises(openai.PermissionDeniedError):
            reader.webhooks.rotate_secret(made.id)

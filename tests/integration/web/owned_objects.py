"""One object of every kind that a project may own, by the name of its id in the API's paths."""

from typing import Any

import httpx

from tasks.admission import submit
from tasks.endpoints import plan_of
from tasks.ids import CHAT_COMPLETION_PREFIX, shown_as
from tasks.keys import Principal
from tasks.plan import Endpoint
from tests.integration.tasks.bookkeeping import finish
from tests.integration.tasks.conftest import MODEL
from tests.integration.tasks.webhook_work import WebhookWork
from tests.integration.web.batch_work import BatchWork, chat_line, jsonl

MESSAGE = {"role": "user", "content": "Once"}


def owned_objects(http: httpx.Client, principal: Principal) -> dict[str, str]:
    """Made with a project's key, and in the database where only a worker makes them."""
    batches = BatchWork(http)
    item = {"type": "message", "role": "user", "content": "Hello"}
    conversation = batches.post("/v1/conversations", {"items": [item]})
    items = http.get(f"/v1/conversations/{conversation['id']}/items").json()["data"]
    response = batches.post("/v1/responses", {"model": MODEL, "input": "Once", "background": True})
    upload = {"filename": "x.jsonl", "purpose": "batch", "bytes": 3, "mime_type": "application/jsonl"}
    work = WebhookWork(principal.project_id, "https://hooks.example.com/")
    endpoint = work.endpoint().endpoint
    work.tell()
    return {
        "job_id": _job(http),
        "completion_id": _stored_chat(principal),
        "response_id": response["id"],
        "conversation_id": conversation["id"],
        "item_id": items[0]["id"],
        "file_id": batches.upload(jsonl([chat_line(1)])),
        "upload_id": batches.post("/v1/uploads", upload)["id"],
        "batch_id": batches.create([chat_line(1)])["id"],
        "webhook_endpoint_id": endpoint.id,
        "delivery_id": work.deliveries(endpoint.id)[0].id,
    }


def _job(http: httpx.Client) -> str:
    answer = http.post("/v1/jobs", json={"type": "completion", "model": MODEL, "prompt": "Once"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def _stored_chat(principal: Principal) -> str:
    body: dict[str, Any] = {"model": MODEL, "messages": [MESSAGE], "store": True}
    plan = plan_of(Endpoint.CHAT_COMPLETIONS, principal.project_id, body)
    job = submit(principal, plan, idempotency_key=None, request_id=None).job
    finish(job.id)
    return shown_as(job.id, CHAT_COMPLETION_PREFIX)

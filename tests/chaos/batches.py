"""Batches from the upload of their file to their end, some of them cancelled on the way."""

import json
from typing import Any

from tests.chaos.client import Client
from tests.chaos.recipes import pick
from tests.chaos.record import Story

_LINES = (8, 20, 64, 130, 200)
_LONGEST = 64
_URL = "/v1/completions"


def run_batch(client: Client) -> None:
    content = _lines(client)
    upload = {"file": ("in.jsonl", content, "application/jsonl")}
    answer = client.ask("POST", "/v1/files", files=upload, data={"purpose": "batch"})
    if answer.status_code != 200:
        return
    file_id = answer.json()["id"]
    client.record.file(file_id, client.tenant, content)
    wanted = {"input_file_id": file_id, "endpoint": _URL, "completion_window": "24h"}
    # There is no key for these: one whose answer was lost may be made twice, and both run.
    answer = client.ask("POST", "/v1/batches", json=wanted)
    if answer.status_code != 200:
        return
    batch: dict[str, Any] = answer.json()
    story = client.record.batch(batch["id"], client.tenant)
    story.content = content
    story.see("create", batch)
    _follow(client, story)


def _follow(client: Client, story: Story) -> None:
    cancel_after = client.dice.randint(1, 8) if client.dice.random() < 0.3 else None
    looks = 0
    while story.ended is None and not client.stopping.is_set():
        client.pause(0.4, 1.5)
        looks += 1
        method, path = ("POST", "/cancel") if looks == cancel_after else ("GET", "")
        answer = client.ask(method, f"/v1/batches/{story.id}{path}")
        if answer.status_code == 200:
            story.see(method, answer.json())
        elif answer.status_code != 409:
            story.faults.append(f"{method} was answered {answer.status_code}")


def _lines(client: Client) -> bytes:
    lines = []
    for number in range(client.dice.choice(_LINES)):
        body = pick(client.dice, _LONGEST).completion()
        line = {"custom_id": f"line-{number}", "method": "POST", "url": _URL, "body": body}
        lines.append(json.dumps(line).encode() + b"\n")
    return b"".join(lines)

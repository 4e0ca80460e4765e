"""Batches against their lines: each line once, and the sums are those of the lines."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from tests.chaos.breach import Breach
from tests.chaos.client import Client
from tests.chaos.record import ENDED, Record, Story


def check_batches(record: Record, clients: Mapping[str, Client]) -> Iterator[Breach]:
    for story in record.batches.values():
        client = clients[story.tenant.name]
        answer = client.ask("GET", f"/v1/batches/{story.id}")
        if answer.status_code != 200:
            yield Breach("I1", f"{story.id} is lost: its owner is answered {answer.status_code}", story)
            continue
        batch = answer.json()
        story.see("final look", batch)
        yield from (Breach("I2", f"{story.id}: {what}", story) for what in story.faults)
        if batch["status"] not in ENDED:
            yield Breach("I1", f"{story.id} has not ended: it is {batch['status']}", story)
        elif batch["status"] != "failed":
            yield from _lines(client, story, batch)


def _lines(client: Client, story: Story, batch: Mapping[str, Any]) -> Iterator[Breach]:
    answered = _content(client, batch["output_file_id"])
    others = _content(client, batch["error_file_id"])
    asked = [json.loads(line)["custom_id"] for line in (story.content or b"").splitlines()]
    seen = Counter(line["custom_id"] for line in (*answered, *others))
    if twice := [custom_id for custom_id, times in seen.items() if times > 1]:
        yield Breach("I2", f"{story.id}: {twice[:5]} are in its files more than once", story)
    if batch["status"] == "completed" and set(seen) != set(asked):
        yield Breach("I1", f"{story.id}: {len(asked)} lines were asked, {len(seen)} are in its files", story)
    if len(answered) != batch["request_counts"]["completed"]:
        yield Breach(
            "I4", f"{story.id}: {batch['request_counts']}, and {len(answered)} lines in its output", story
        )
    usages = [line["response"]["body"]["usage"] for line in answered]
    sums = [sum(usage[name] for usage in usages) for name in ("prompt_tokens", "completion_tokens")]
    if sums != [batch["usage"]["input_tokens"], batch["usage"]["output_tokens"]]:
        yield Breach("I4", f"{story.id}: its lines add up to {sums}, its usage is {batch['usage']}", story)
    if not usages and Decimal(batch["cost_usd"]):
        yield Breach("I3", f"{story.id} cost {batch['cost_usd']} USD without a line", story)


def _content(client: Client, file_id: str | None) -> list[dict[str, Any]]:
    if file_id is None:
        return []
    answer = client.ask("GET", f"/v1/files/{file_id}/content")
    return [json.loads(line) for line in answer.content.splitlines()] if answer.status_code == 200 else []

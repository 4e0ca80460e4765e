"""Requests that wait for their answer, or read it as it comes, like those of the official SDK."""

import json
from typing import Any

import httpx

from tests.chaos.client import Client
from tests.chaos.recipes import pick
from tests.chaos.record import Story
from tests.services.server_events import ServerEvent, events

_JOB_ID = "x-tokenmill-job-id"
_MOST_TRIES = 30
_LONGEST = 300


def chat(client: Client) -> None:
    """With a key a client may ask again; without one it must not, for that would be another chat."""
    recipe = pick(client.dice, _LONGEST)
    keyed = client.dice.random() < 0.7
    _answered(client, "/v1/chat/completions", recipe.chat(), f"chat {recipe.number}", keyed=keyed)


def several_texts(client: Client) -> None:
    recipe = pick(client.dice, _LONGEST)
    n = client.dice.randint(2, 3)
    body = recipe.completion() | {"n": n, "service_tier": client.dice.choice(("priority", "flex", "default"))}
    _answered(client, "/v1/completions", body, f"{n} texts {recipe.number}", keyed=True)


def stream_chat(client: Client) -> None:
    """From the beginning each time it breaks: the key leads to the same chat."""
    recipe = pick(client.dice)
    body = recipe.chat() | {"stream": True}
    headers = client.new_key()
    for _ in range(_MOST_TRIES):
        if client.stopping.is_set() or _read(client, body, headers, f"chat {recipe.number}"):
            return
        client.pause()


def _answered(client: Client, path: str, body: dict[str, Any], recipe: str, *, keyed: bool) -> None:
    headers = client.new_key() if keyed else {}
    answer = client.ask("POST", path, json=body, headers=headers, again=keyed)
    story = _story(client, answer, recipe)
    if story is not None and answer.status_code == 200:
        story.answered.append(answer.json())


def _read(client: Client, body: dict[str, Any], headers: dict[str, str], recipe: str) -> bool:
    """Whether there is nothing more to come."""
    with client.open("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
        if answer is None or answer.status_code == 503:
            return False
        story = _story(client, answer, recipe)
        if story is None or answer.status_code != 200:
            return True
        text = ""
        try:
            for event in events(answer):
                if event.name == "error":
                    return _final(event)
                if event.data == "[DONE]":
                    story.streamed.append(text)
                    return True
                text += "".join(choice["delta"].get("content") or "" for choice in event.json()["choices"])
        except httpx.TransportError as error:
            client.record.answer(type(error).__name__)
    return False


def _final(event: ServerEvent) -> bool:
    """Whether an error is the job's own end rather than the connection's."""
    code = json.loads(event.data)["error"]["code"]
    return code not in ("server_stopping", "database_unavailable", "server_busy")


def _story(client: Client, answer: httpx.Response, recipe: str) -> Story | None:
    """A job is acknowledged with the headers, whatever follows."""
    job_id = answer.headers.get(_JOB_ID)
    return None if job_id is None else client.record.job(job_id, client.tenant, recipe)

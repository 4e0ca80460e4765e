"""Following a job's events across every break, by the id of the last event seen."""

from collections import Counter

import httpx

from tests.chaos import jobs
from tests.chaos.client import Client
from tests.chaos.recipes import pick
from tests.chaos.record import Story
from tests.services.server_events import ServerEvent, events

_END = "end"


def submit_and_follow(client: Client) -> None:
    story = jobs.submit(client, pick(client.dice))
    if story is None:
        return
    follower = _Follower(story)
    while not follower.done and not client.stopping.is_set():
        _follow(client, follower)


def _follow(client: Client, follower: "_Follower") -> None:
    """One connection's worth of it."""
    with client.open("GET", f"/v1/jobs/{follower.story.id}/events", headers=follower.headers) as answer:
        if answer is None or answer.status_code != 200:
            if answer is not None and answer.status_code != 503:
                follower.story.faults.append(f"its events were answered {answer.status_code}")
                follower.done = True
            client.pause()
            return
        try:
            for event in events(answer):
                follower.take(event)
                # Clients leave whenever they like.
                if follower.done or client.dice.random() < 0.002:
                    return
        except httpx.TransportError as error:
            client.record.answer(type(error).__name__)
    client.pause(0.0, 0.3)


class _Follower:
    """Holds the events against each other: each position once, and in order."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self.done = False
        self._last_id: str | None = None
        self._seen: Counter[int] = Counter()
        self._texts: list[str] = []

    @property
    def headers(self) -> dict[str, str]:
        return {} if self._last_id is None else {"Last-Event-ID": self._last_id}

    def take(self, event: ServerEvent) -> None:
        if event.name == "error":
            # Why this connection ends; the job goes on.
            return
        body = event.json()
        if event.name == "tokens":
            self._tokens(body)
        else:
            self.story.see("stream", body)
        self._last_id = event.id or self._last_id
        if self._last_id == _END:
            self.done = True
            self.story.streamed.append("".join(self._texts))

    def _tokens(self, body: dict[str, object]) -> None:
        expected = self._seen[0] + (1 if body["token_ids"] else 0)
        if body["position"] != expected:
            self.story.faults.append(f"its stream had position {body['position']} where {expected} was due")
        self._seen[0] = int(str(body["position"]))
        self._texts.append(str(body["text"]))

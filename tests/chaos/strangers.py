"""A tenant who has got hold of other people's ids, and must find nothing there."""

from tests.chaos.client import Client
from tests.chaos.record import Record, Story


def pry(client: Client) -> None:
    """Try one id in every way there is."""
    record = client.record
    for kind, path in (("jobs", "/v1/jobs"), ("batches", "/v1/batches"), ("files", "/v1/files")):
        story = _any(record, kind, client)
        if story is None:
            continue
        attempts = {
            "jobs": (("GET", ""), ("GET", "/events"), ("GET", "/result"), ("POST", "/cancel")),
            "batches": (("GET", ""), ("POST", "/cancel"), ("POST", "/retry")),
            "files": (("GET", ""), ("GET", "/content"), ("DELETE", "")),
        }[kind]
        method, tail = client.dice.choice(attempts)
        answer = client.ask(method, f"{path}/{story.id}{tail}")
        if answer.status_code != 404:
            record.wrong(f"I6: {method} {path}/{story.id}{tail} of another tenant: {answer.status_code}")
    client.pause(0.2, 1.0)


def _any(record: Record, kind: str, client: Client) -> Story | None:
    stories: dict[str, Story] = getattr(record, kind)
    # Copied in one step, since others add to it.
    ids = list(stories)
    return stories[client.dice.choice(ids)] if ids else None

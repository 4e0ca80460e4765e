"""Jobs as clients use them: submitted with a key, polled, waited for, cancelled."""

from typing import Any

from tests.chaos.client import Client
from tests.chaos.recipes import Recipe, pick
from tests.chaos.record import Story

_LONG = 600


def submit_and_poll(client: Client) -> None:
    story = submit(client, pick(client.dice))
    while story is not None and story.ended is None and not client.stopping.is_set():
        look(client, story, "poll")
        client.pause(0.1, 0.8)


def submit_and_wait(client: Client) -> None:
    story = submit(client, pick(client.dice))
    while story is not None and story.ended is None and not client.stopping.is_set():
        look(client, story, "wait", wait=5)


def submit_and_forget(client: Client) -> None:
    submit(client, pick(client.dice))


def submit_and_cancel(client: Client) -> None:
    """A long one, at any point of its life, sometimes twice."""
    story = submit(client, Recipe(23, 1200) if client.dice.random() < 0.5 else pick(client.dice))
    if story is None:
        return
    client.pause(0.0, 2.0)
    for _ in range(client.dice.choice((1, 1, 2))):
        answer = client.ask("POST", f"/v1/jobs/{story.id}/cancel")
        if answer.status_code == 200:
            story.see("cancel", answer.json())
        elif answer.status_code == 404:
            story.faults.append("cancel did not find it")
    look(client, story, "wait", wait=2)


def submit(client: Client, recipe: Recipe) -> Story | None:
    """The story of the job; None where it was refused, as jobs beyond a budget are."""
    # The same key and body until there is an answer: however often it is sent, it is one job.
    headers = client.new_key()
    body = recipe.job() | {"metadata": {"client": client.name}}
    answer = client.ask("POST", "/v1/jobs", json=body, headers=headers)
    if answer.status_code not in (200, 202):
        return None
    job: dict[str, Any] = answer.json()
    story = client.record.job(job["id"], client.tenant, f"completion {recipe.number}")
    story.see("submit", job)
    return story


def look(client: Client, story: Story, by: str, **query: object) -> None:
    """Read the job and note what was seen."""
    answer = client.ask("GET", f"/v1/jobs/{story.id}", params=query)
    if answer.status_code == 200:
        story.see(by, answer.json())
    else:
        story.faults.append(f"{by} was answered {answer.status_code}")

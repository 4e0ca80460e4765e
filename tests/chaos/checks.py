"""What was promised against what is there now: each check returns the breaches that it found."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from tests.chaos.books import Row
from tests.chaos.breach import Breach
from tests.chaos.client import Client
from tests.chaos.record import ENDED, Record, Story


@dataclass(frozen=True, slots=True)
class Texts:
    """What came of each recipe."""

    whole: defaultdict[str, dict[str, Story]] = field(default_factory=lambda: defaultdict(dict))

    def take(self, recipe: str, text: str, story: Story) -> None:
        self.whole[recipe].setdefault(text, story)

    def breaches(self) -> Iterator[Breach]:
        """The same request, asked several times, gave several answers (I7)."""
        for recipe, texts in self.whole.items():
            if len(texts) > 1:
                ids = ", ".join(story.id for story in texts.values())
                yield Breach("I7", f"{recipe} led to {len(texts)} different texts: {ids}", None)


def check_jobs(record: Record, clients: Mapping[str, Client], rows: Mapping[str, Row]) -> Iterator[Breach]:
    """Look at every job once more, and hold all that was ever said of it against each other."""
    texts = Texts()
    for story in record.jobs.values():
        answer = clients[story.tenant.name].ask("GET", f"/v1/jobs/{story.id}")
        if answer.status_code != 200 or story.id not in rows:
            yield Breach("I1", f"{story.id} is lost: its owner is answered {answer.status_code}", story)
            continue
        body = answer.json()
        story.see("final look", body)
        if body["status"] not in ENDED:
            yield Breach("I1", f"{story.id} has not ended: it is {body['status']}", story)
            continue
        yield from (Breach("I2", f"{story.id}: {what}", story) for what in story.faults)
        yield from _bill(story, body, rows[story.id])
        yield from _answers(story, body)
        text = _text(body)
        if body["status"] == "completed" and story.recipe is not None and text is not None:
            texts.take(story.recipe, text, story)
    yield from texts.breaches()


def check_all_rows(rows: Iterable[Row]) -> Iterator[Breach]:
    """Jobs that nobody was told of must be billed as exactly as the others (I3)."""
    for row in rows:
        owed = row.prompt_tokens > 0 or row.completion_tokens > 0
        if row.charges != owed:
            yield Breach(
                "I3", f"{row.id} is {row.status} with {row.charges} charges, {row.completion_tokens} tokens"
            )
        elif row.charges and not row.charged_usd == row.cost_usd == row.priced_usd:
            yield Breach(
                "I4", f"{row.id}: charged {row.charged_usd}, cost {row.cost_usd}, priced {row.priced_usd}"
            )
        if row.status == "failed" and row.charges:
            yield Breach("I3", f"{row.id} failed by our fault and was charged")


def check_files(record: Record, clients: Mapping[str, Client]) -> Iterator[Breach]:
    """What was uploaded is there, byte for byte (I1)."""
    for story in record.files.values():
        answer = clients[story.tenant.name].ask("GET", f"/v1/files/{story.id}/content")
        if answer.status_code != 200 or answer.content != story.content:
            yield Breach("I1", f"the file {story.id} is not as it was sent: {answer.status_code}", story)


def check_strangers(record: Record, stranger: Client) -> Iterator[Breach]:
    """Nobody else finds any of it (I6)."""
    kinds = (("/v1/jobs", record.jobs), ("/v1/batches", record.batches), ("/v1/files", record.files))
    for path, stories in kinds:
        for its_id in stranger.dice.sample(sorted(stories), min(20, len(stories))):
            answer = stranger.ask("GET", f"{path}/{its_id}")
            if answer.status_code != 404:
                yield Breach(
                    "I6", f"{path}/{its_id} of another tenant: {answer.status_code}", stories[its_id]
                )


def _bill(story: Story, body: Mapping[str, Any], row: Row) -> Iterator[Breach]:
    usage = body["usage"] or {"prompt_tokens": 0, "cached_tokens": 0, "completion_tokens": 0}
    said = (usage["prompt_tokens"], usage["cached_tokens"], usage["completion_tokens"])
    if said != (row.prompt_tokens, row.cached_tokens, row.completion_tokens):
        yield Breach("I4", f"{story.id}: its body says {said}, its row something else", story)
    if Decimal(body["cost_usd"]) != row.cost_usd:
        yield Breach("I4", f"{story.id}: its body says {body['cost_usd']} USD, its row {row.cost_usd}", story)


def _answers(story: Story, body: Mapping[str, Any]) -> Iterator[Breach]:
    """Streams and answers of the job are the job's own text and usage."""
    text = _text(body)
    if body["status"] == "completed":
        for streamed in story.streamed:
            if streamed != text:
                yield Breach(
                    "I2", f"{story.id}: a stream had {len(streamed)} characters, not its text", story
                )
    for answered in story.answered:
        usage = answered["usage"]
        if usage["completion_tokens"] != (body["usage"] or {}).get("completion_tokens"):
            yield Breach("I4", f"{story.id}: its answer was of {usage['completion_tokens']} tokens", story)
        first = answered["choices"][0]
        if (first["message"]["content"] if "message" in first else first["text"]) != text:
            yield Breach("I2", f"{story.id}: its answer was another text", story)
        if answered["choices"] != story.answered[0]["choices"]:
            yield Breach("I2", f"{story.id}: its answer asked for again was another", story)


def _text(body: Mapping[str, Any]) -> str | None:
    output = body["output"]
    if output is None:
        return None
    text: str = output["message"]["content"] if output["message"] else output["text"]
    return text

"""What clients were promised and what they saw, with the faults around it: what the checks go by."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})

_began = time.monotonic()


def now() -> float:
    """Seconds since this process began, as the report tells them."""
    return time.monotonic() - _began


@dataclass(frozen=True, slots=True)
class Tenant:
    """A project with a key."""

    name: str
    project_id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Sight:
    """What a client was told of something at a moment."""

    at: float
    by: str
    status: str


@dataclass(slots=True)
class Story:
    """A job, batch or file that a client was told is there, and everything it was told of it since.

    ``ended`` is how it was first seen in a terminal state. ``changed`` tells of later looks that differed.
    ``recipe`` names requests that must lead to the same text. ``streamed`` is the text of complete streams.
    """

    id: str
    tenant: Tenant
    recipe: str | None = None
    content: bytes | None = None
    sights: list[Sight] = field(default_factory=list)
    ended: dict[str, Any] | None = None
    streamed: list[str] = field(default_factory=list)
    answered: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def see(self, by: str, body: dict[str, Any]) -> None:
        """A look at it. What has ended never looks otherwise again."""
        status = str(body["status"])
        self.sights.append(Sight(now(), by, status))
        if self.ended is None:
            if status in ENDED:
                self.ended = body
        elif body != self.ended:
            different = sorted(key for key in body if body[key] != self.ended.get(key))
            self.faults.append(
                f"{by} saw {status} after it had been {self.ended['status']}: {different} differ"
            )


@dataclass(frozen=True, slots=True)
class Happening:
    """A fault, from one moment to another; ``until`` is None while it lasts."""

    at: float
    what: str
    until: float | None = None


class Record:
    """Filled by many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.jobs: dict[str, Story] = {}
        self.batches: dict[str, Story] = {}
        self.files: dict[str, Story] = {}
        self.happenings: list[Happening] = []
        self.answers: Counter[str] = Counter()
        self.wrongs: list[str] = []

    def job(self, job_id: str, tenant: Tenant, recipe: str | None = None) -> Story:
        return self._story(self.jobs, job_id, tenant, recipe)

    def batch(self, batch_id: str, tenant: Tenant) -> Story:
        return self._story(self.batches, batch_id, tenant)

    def file(self, file_id: str, tenant: Tenant, content: bytes) -> Story:
        story = self._story(self.files, file_id, tenant)
        story.content = content
        return story

    def answer(self, what: str) -> None:
        """Count what a client was answered."""
        with self._lock:
            self.answers[what] += 1

    def wrong(self, what: str) -> None:
        """Something that should never be seen, whatever is broken."""
        with self._lock:
            self.wrongs.append(f"{now():.1f} s: {what}")

    def job_ids(self) -> list[str]:
        with self._lock:
            return list(self.jobs)

    @contextmanager
    def happening(self, what: str) -> Iterator[None]:
        """Note when a fault began and when it was over."""
        began = Happening(now(), what)
        with self._lock:
            self.happenings.append(began)
        try:
            yield
        finally:
            with self._lock:
                self.happenings.remove(began)
                self.happenings.append(Happening(began.at, what, now()))

    def around(self, start: float, end: float) -> list[Happening]:
        """What went wrong between two moments, in order."""
        with self._lock:
            found = [one for one in self.happenings if one.at <= end and (one.until or end) >= start]
        return sorted(found, key=lambda one: one.at)

    def _story(
        self, stories: dict[str, Story], its_id: str, tenant: Tenant, recipe: str | None = None
    ) -> Story:
        with self._lock:
            return stories.setdefault(its_id, Story(its_id, tenant, recipe))

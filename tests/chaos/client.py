"""A client as clients should be: it asks again, and elsewhere, where it got no answer."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.chaos.record import Record, Tenant

_TIMEOUT = httpx.Timeout(12, connect=3)
# Streams say something every 15 seconds.
_STREAM_TIMEOUT = httpx.Timeout(20, connect=3)
_AGAIN = frozenset({502, 503})
# What a server may say however well it is: refusals, and failures that are told as such.
_EXPECTED = frozenset({200, 202, 204, 304, 404, 409, 429, 499, 503, 504})


class GaveUp(Exception):
    """Nobody answered for as long as the client was ready to wait."""


class Client:
    """One tenant's, used by one thread. A context manager."""

    def __init__(
        self,
        name: str,
        tenant: Tenant,
        base_urls: list[str],
        record: Record,
        *,
        seed: int,
        stopping: threading.Event | None = None,
    ) -> None:
        self.name = name
        self.tenant = tenant
        self.record = record
        self.dice = random.Random(f"{name} {seed}")
        self.stopping = stopping or threading.Event()
        self._base_urls = base_urls
        self._keys = 0
        self._seed = seed
        # Plain http: reading the system's certificates takes longer than the requests.
        self._http = httpx.Client(
            timeout=_TIMEOUT,
            verify=False,  # noqa: S501
            trust_env=False,
            headers={"Authorization": f"Bearer {tenant.secret}"},
        )

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def new_key(self) -> dict[str, str]:
        """The header that makes sending a request again safe."""
        self._keys += 1
        return {"Idempotency-Key": f"{self.name}-{self._seed}-{self._keys}"}

    def ask(
        self, method: str, path: str, *, patience_seconds: float = 60.0, again: bool = True, **sent: Any
    ) -> httpx.Response:
        """The answer of whichever server gives one. Raises GaveUp.

        ``again``: whether it is safe to ask a second time.
        """
        until = time.monotonic() + patience_seconds
        while True:
            answer = self._try(method, path, **sent)
            if answer is not None and answer.status_code not in _AGAIN:
                return answer
            if not again or self.stopping.is_set() or time.monotonic() > until:
                raise GaveUp(f"{method} {path}")
            self.pause()

    @contextmanager
    def open(self, method: str, path: str, **sent: Any) -> Iterator[httpx.Response | None]:
        """An answer that is read as it comes; None where there is none."""
        request = self._http.build_request(method, self._somewhere() + path, timeout=_STREAM_TIMEOUT, **sent)
        try:
            answer = self._http.send(request, stream=True)
        except httpx.TransportError as error:
            self.record.answer(type(error).__name__)
            yield None
            return
        try:
            self._note(method, path, answer)
            yield answer
        finally:
            answer.close()

    def pause(self, shortest_seconds: float = 0.1, longest_seconds: float = 0.6) -> None:
        """A moment, cut short when the run ends."""
        self.stopping.wait(self.dice.uniform(shortest_seconds, longest_seconds))

    def _try(self, method: str, path: str, **sent: Any) -> httpx.Response | None:
        try:
            answer = self._http.request(method, self._somewhere() + path, **sent)
        except httpx.TransportError as error:
            self.record.answer(type(error).__name__)
            return None
        self._note(method, path, answer)
        return answer

    def _note(self, method: str, path: str, answer: httpx.Response) -> None:
        self.record.answer(str(answer.status_code))
        if answer.status_code not in _EXPECTED and not _job_failed(answer):
            answer.read()
            self.record.wrong(f"{method} {path} was answered {answer.status_code}: {answer.text[:400]}")

    def _somewhere(self) -> str:
        return self.dice.choice(self._base_urls)


def _job_failed(answer: httpx.Response) -> bool:
    """Whether this is a job's own failure, told to whoever waited for it."""
    if answer.status_code != 500:
        return False
    try:
        answer.read()
        return answer.json()["error"]["code"] in ("worker_lost", "job_failed", "job_cancelled")
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False

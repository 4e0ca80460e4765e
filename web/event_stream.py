"""A job's events on their way to one client."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from flask import request

from tasks.errors import ServerStopping
from tasks.job_stream import JobStream, open_stream
from tasks.result import JobResult
from tasks.wire.chunks import Event, Renderer
from web import disconnects, errors, sse
from web.disconnects import Client
from web.longpoll import LongPolls


class EventStream:
    """What one client is sent of a job; made by :func:`open_events`.

    ``on_gone`` is called when the client goes away before it has had everything, ``on_first_token`` when
    it is sent the first.
    """

    def __init__(self, followed: JobStream, client: Client, polls: LongPolls) -> None:
        self.followed = followed
        self.on_gone: Callable[[], None] | None = None
        self.on_first_token: Callable[[], None] | None = None
        self._client = client
        self._polls = polls
        self._left_out = 0
        self._over = False

    def frames(self, first: JobResult, renderer: Renderer, after: int, request_id: str) -> Iterator[bytes]:
        """Everything from ``first`` on, but for the first ``after`` events.

        Raises what the renderer raises at its beginning; later errors are a part of the stream.
        """
        self._left_out = after
        opening = self._frames(renderer.begin(first))
        return self._run(first, renderer, opening, request_id)

    def close(self) -> None:
        """When nothing more is sent, also where nothing ever was."""
        if self.on_gone is not None and not self._over and not self._polls.stopping:
            self.on_gone()

    def _run(self, first: JobResult, renderer: Renderer, opening: bytes, request_id: str) -> Iterator[bytes]:
        try:
            if opening:
                yield opening
            yield from self._follow(first, renderer)
        except Exception as error:
            # Never a silent close: the client would take what it has for the whole.
            self._over = True
            yield sse.error_frame(errors.error_body(error, request_id))

    def _follow(self, first: JobResult, renderer: Renderer) -> Iterator[bytes]:
        position = sse.Position(len(first.choices))
        for item in self.followed.follow(first):
            if item is None:
                if self._client.gone:
                    return
                if self._polls.stopping:
                    raise ServerStopping(_where_it_goes_on(self.followed.job_id))
                self.followed.pause()
                yield sse.HEARTBEAT
            elif isinstance(item, JobResult):
                self._over = True
                yield self._frames(renderer.end(item), sse.END)
            else:
                sent = b""
                for piece in item:
                    position.take(piece)
                    sent += self._frames(renderer.piece(piece), position)
                # The client may be slow to take it.
                self.followed.pause()
                if sent:
                    self._note_first_token()
                    yield sent

    def _note_first_token(self) -> None:
        note, self.on_first_token = self.on_first_token, None
        if note is not None:
            note()

    def _frames(self, events: Iterable[Event], event_id: object = None) -> bytes:
        wanted = list(events)
        left_out = min(self._left_out, len(wanted))
        self._left_out -= left_out
        return sse.frames(wanted[left_out:], event_id)


@contextmanager
def open_events(job_id: str, polls: LongPolls) -> Iterator[EventStream]:
    """The stream of a job to the client of this request. Raises ServerBusy."""
    with (
        open_stream(job_id) as followed,
        polls.place(followed.interrupt),
        disconnects.watched(request.environ, followed.interrupt) as client,
    ):
        events = EventStream(followed, client, polls)
        try:
            yield events
        finally:
            events.close()


def _where_it_goes_on(job_id: str) -> str:
    return (
        f"This server process is stopping. The job goes on: read on at /v1/jobs/{job_id}/events, with the "
        "last id seen in the header Last-Event-ID."
    )

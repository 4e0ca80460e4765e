"""A job's tokens on their way to a listener, on a real Postgres and with an engine under the test's hand."""

import threading
from collections.abc import Callable

import pytest

from inference.request import OutcomeStatus
from tasks import cancellation, events, job_stream, stream_publisher
from tasks.admission import Submission
from tasks.ids import new_id
from tasks.job_stream import Item, JobStream, open_stream
from tasks.keys import Principal
from tasks.models import JobStatus
from tasks.result import JobResult
from tasks.settings import settings
from tasks.streams import Tokens
from tasks.wire.chunks import Piece
from tests.integration.tasks.hand_worker import ids, working

Submit = Callable[..., Submission]


@pytest.fixture(autouse=True)
def quick_rounds(process: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENMILL_CHECKPOINT_INTERVAL_SECONDS", "0.05")
    monkeypatch.setenv("TOKENMILL_RENEW_INTERVAL_SECONDS", "0.1")
    settings.cache_clear()


class Reader:
    """Follows a stream in a thread of its own."""

    def __init__(self, stream: JobStream, project_id: str) -> None:
        self.items: list[Item] = []
        self._first = stream.begin(project_id)
        self._stream = stream
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    @property
    def pieces(self) -> list[Piece]:
        return [piece for item in self.items if isinstance(item, list) for piece in item]

    @property
    def token_ids(self) -> list[int]:
        return [piece.token_id for piece in self.pieces if piece.token_id is not None]

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    def end(self) -> JobResult:
        self._thread.join(20)
        assert not self._thread.is_alive()
        ended = self.items[-1]
        assert isinstance(ended, JobResult)
        return ended

    def until(self, count: int, seconds: float = 10) -> None:
        for _ in range(round(seconds / 0.01)):
            if len(self.token_ids) >= count:
                return
            threading.Event().wait(0.01)
        raise TimeoutError(f"{len(self.token_ids)} tokens came")

    def _run(self) -> None:
        self.items.extend(self._stream.follow(self._first))


STORY = "Once upon a time, 漢字 and 😀 met."


def test_tokens_come_as_they_are_generated_and_the_end_when_it_is_durable(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = new_id("job")
    with working() as worker, open_stream(job_id) as stream:
        submit_job(job_id=job_id, stream_to=stream.address, max_tokens=64)
        reader = Reader(stream, principal.project_id)
        generation = worker.take(job_id)
        for count, token_id in enumerate(ids(STORY), 1):
            generation.generate(token_id)
            reader.until(count, seconds=1)
        generation.end(text=STORY)
        ended = reader.end()
    assert ended.job.status is JobStatus.COMPLETED
    assert reader.text == ended.choices[0].text == STORY
    assert [piece.position for piece in reader.pieces] == list(range(1, len(ids(STORY)) + 1))


def test_late_listener_gets_everything_from_the_first_token_on(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = submit_job(max_tokens=64).job.id
    with working() as worker:
        generation = worker.take(job_id)
        generation.generate(*ids(STORY)[:5])
        with open_stream(job_id) as stream:
            reader = Reader(stream, principal.project_id)
            stream.listen()
            reader.until(5, seconds=1.5)
            generation.generate(*ids(STORY)[5:])
            reader.until(len(ids(STORY)), seconds=1.5)
            generation.end(text=STORY)
            reader.end()
    assert reader.token_ids == ids(STORY)


def test_listener_that_asks_between_claim_and_flight_is_heard(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = submit_job(max_tokens=64).job.id
    with working() as worker, open_stream(job_id) as stream:
        worker.engine._on_submit = lambda generation: stream.listen()
        reader = Reader(stream, principal.project_id)
        generation = worker.take(job_id)
        generation.generate(7)
        reader.until(1, seconds=1.5)
        # Heard while it came, and not only read from the row in the end.
        assert reader.token_ids == [7]
        generation.end()
        assert reader.end().job.status is JobStatus.COMPLETED


def test_nothing_is_published_for_a_job_nobody_listens_to(
    submit_job: Submit, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    put: list[Tokens] = []
    monkeypatch.setattr(
        stream_publisher.StreamPublisher, "put", lambda self, listeners, tokens: put.append(tokens)
    )
    job_id = submit_job().job.id
    with working() as worker:
        generation = worker.take(job_id)
        generation.generate(1)
        assert put == []
        with open_stream(job_id) as stream:
            stream.listen()
            generation.generate(2)
            assert [tokens.token_ids for tokens in put] == [(1,), (2,)]
        generation.generate(3)
        assert len(put) == 2
        generation.end()


def test_lost_tokens_are_made_up_for_from_the_database(
    submit_job: Submit, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the broker is away: no token arrives, and neither does the news of the end."""
    monkeypatch.setattr(job_stream, "_SILENCE_SECONDS", 0.0)
    monkeypatch.setattr(stream_publisher.StreamPublisher, "put", lambda *_: None)
    monkeypatch.setattr(events, "publish", lambda *_: None)
    job_id = new_id("job")
    with working() as worker, open_stream(job_id) as stream:
        submit_job(job_id=job_id, stream_to=stream.address, max_tokens=64)
        reader = Reader(stream, principal.project_id)
        generation = worker.take(job_id)
        generation.generate(*ids(STORY)[:6])
        reader.until(6)
        generation.generate(*ids(STORY)[6:])
        generation.end(text=STORY)
        reader.end()
    assert reader.token_ids == ids(STORY)
    assert reader.text == STORY


def test_worker_that_leaves_is_followed_by_another_and_each_token_comes_once(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = new_id("job")
    with open_stream(job_id) as stream:
        submit_job(job_id=job_id, stream_to=stream.address, max_tokens=64)
        reader = Reader(stream, principal.project_id)
        with working() as first:
            first.take(job_id).generate(*ids(STORY)[:6])
            reader.until(6, seconds=1)
        with working() as second:
            generation = second.take(job_id)
            assert list(generation.token_ids) == ids(STORY)[:6]
            generation.generate(*ids(STORY)[6:])
            generation.end(text=STORY)
            ended = reader.end()
    assert reader.token_ids == ids(STORY)
    assert ended.job.completion_tokens == len(ids(STORY))


def test_ended_job_is_the_same_stream_as_a_live_one(submit_job: Submit, principal: Principal) -> None:
    job_id = new_id("job")
    with working() as worker, open_stream(job_id) as stream:
        submit_job(job_id=job_id, stream_to=stream.address, max_tokens=64, stop="met")
        live = Reader(stream, principal.project_id)
        generation = worker.take(job_id)
        for token_id in ids(STORY):
            generation.generate(token_id)
        generation.end(text=STORY.partition("met")[0])
        live.end()
    with open_stream(job_id) as stream:
        again = Reader(stream, principal.project_id)
        ended = again.end()
    assert again.pieces == live.pieces
    assert again.text == ended.choices[0].text == STORY.partition("met")[0]


def test_text_held_for_a_stop_string_comes_last_when_the_job_is_cancelled(
    submit_job: Submit, principal: Principal
) -> None:
    job_id = new_id("job")
    with working() as worker, open_stream(job_id) as stream:
        submit_job(job_id=job_id, stream_to=stream.address, max_tokens=64, stop=" time machine")
        reader = Reader(stream, principal.project_id)
        generation = worker.take(job_id)
        generation.generate(*ids("Once upon a time"))
        reader.until(4)
        assert reader.text == "Once upon a"
        cancellation.cancel_job(principal.project_id, job_id)
        assert reader.end().job.status is JobStatus.CANCELLED
    assert reader.text == "Once upon a time"
    assert reader.pieces[-1] == Piece(choice=0, position=4, text=" time")


def test_failed_job_ends_its_stream_without_more_text(submit_job: Submit, principal: Principal) -> None:
    job_id = new_id("job")
    with working() as worker, open_stream(job_id) as stream:
        submit_job(job_id=job_id, stream_to=stream.address, max_tokens=64)
        reader = Reader(stream, principal.project_id)
        generation = worker.take(job_id)
        generation.generate(*ids("Once"))
        generation.end(OutcomeStatus.FAILED)
        assert reader.end().job.status is JobStatus.FAILED
    assert reader.text == "Once"


def test_reader_that_is_interrupted_looks_up_at_once(submit_job: Submit, principal: Principal) -> None:
    job_id = submit_job().job.id
    with open_stream(job_id) as stream:
        items = stream.follow(stream.begin(principal.project_id))
        stream.interrupt()
        assert next(items) is None


def test_silence_is_broken_by_a_heartbeat(
    submit_job: Submit, principal: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_stream, "HEARTBEAT_SECONDS", 0.05)
    job_id = submit_job().job.id
    with open_stream(job_id) as stream:
        items = stream.follow(stream.begin(principal.project_id))
        assert [next(items), next(items)] == [None, None]

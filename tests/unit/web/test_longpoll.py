import threading
from collections.abc import Callable
from time import monotonic

import pytest

from tasks import job_queries, waiting
from tasks.errors import ServerBusy
from tasks.job import JobRecord
from tasks.models import JobStatus
from web.longpoll import LongPolls

MakeJob = Callable[..., JobRecord]


@pytest.fixture
def waited(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was waited, time after time; no job ever ends."""
    times: list[float] = []

    def wait_for_end(project_id: str, job_id: str, timeout_seconds: float) -> JobRecord:
        times.append(timeout_seconds)
        threading.Event().wait(min(timeout_seconds, 0.05))
        return make_job()

    monkeypatch.setattr(waiting, "wait_for_end", wait_for_end)
    monkeypatch.setattr(job_queries, "get_job", lambda project_id, job_id: make_job())
    return times


def test_no_wait_is_a_plain_read(waited: list[float]) -> None:
    assert LongPolls(1).job("p", "j", 0).id == "job_1"
    assert waited == []


def test_job_that_ends_is_answered_at_once(make_job: MakeJob, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = make_job(status=JobStatus.COMPLETED)
    monkeypatch.setattr(waiting, "wait_for_end", lambda *args: ended)
    assert LongPolls(1).job("p", "j", 60) is ended


def test_request_over_the_limit_is_answered_at_once_instead_of_holding_a_thread(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, leave = threading.Event(), threading.Event()

    def wait_for_end(project_id: str, job_id: str, timeout_seconds: float) -> JobRecord:
        inside.set()
        leave.wait(5)
        return make_job(status=JobStatus.COMPLETED)

    monkeypatch.setattr(waiting, "wait_for_end", wait_for_end)
    monkeypatch.setattr(job_queries, "get_job", lambda project_id, job_id: make_job())
    polls = LongPolls(1)
    waiter = threading.Thread(target=polls.job, args=("p", "j", 60))
    waiter.start()
    assert inside.wait(5)
    assert polls.job("p", "j", 60).status is JobStatus.QUEUED
    leave.set()
    waiter.join()
    assert polls.job("p", "j", 60).status is JobStatus.COMPLETED


def test_place_is_given_back_when_the_job_is_not_there(
    make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> JobRecord:
        raise LookupError

    polls = LongPolls(1)
    monkeypatch.setattr(waiting, "wait_for_end", missing)
    for _ in range(2):
        with pytest.raises(LookupError):
            polls.job("p", "j", 1)


def test_stopping_server_answers_whoever_waits(waited: list[float]) -> None:
    polls = LongPolls(1)
    threading.Timer(0.1, polls.stop).start()
    started = monotonic()
    assert polls.job("p", "j", 60).id == "job_1"
    assert monotonic() - started < 2
    assert waited[-1] == 0


def test_places_are_shared_and_one_too_many_is_refused(waited: list[float]) -> None:
    polls = LongPolls(1)
    with polls.place(lambda: None), pytest.raises(ServerBusy), polls.place(lambda: None):
        pass
    with polls.place(lambda: None):
        # A long poll finds no place either, so it does not wait.
        assert polls.job("p", "j", 60).id == "job_1"
    assert waited == []


def test_whoever_has_a_place_is_woken_when_the_server_stops() -> None:
    polls = LongPolls(2)
    early, late = threading.Event(), threading.Event()
    with polls.place(early.set):
        assert not early.is_set()
        polls.stop()
        assert early.is_set()
    with polls.place(late.set):
        assert late.is_set()

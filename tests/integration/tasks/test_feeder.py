"""How lines of batches reach the workers, on a real Postgres."""

import pytest

from tasks import feeder, keys, outbox, projects, slices
from tasks.batch import BatchStatus
from tasks.errors import BrokerUnavailable
from tasks.keys import Principal
from tests.integration.tasks.batch_work import (
    again,
    assert_settled,
    batch_worker,
    begin_batch,
    change,
    line,
    lines,
    one,
)
from tests.integration.tasks.publications import Publications

pytestmark = pytest.mark.usefixtures("batch_storage")


def test_two_projects_share_the_worker_whoever_came_first(
    principal: Principal, publications: Publications
) -> None:
    other = keys.authenticate(keys.create_key(projects.create_project("other").id, "other").secret)
    first = begin_batch(principal, lines(640))
    second = begin_batch(other, lines(128))
    with batch_worker(publications) as worker:
        for _ in range(20):
            worker.take_all()
            worker.land()
            if again(second).status.ended:
                break
        # It was done as soon as both had had as many lines, give or take what was on its way.
        assert again(second).status is BatchStatus.COMPLETED
        assert again(first).completed <= 128 + 128
        worker.run_to_end(first)
    assert_settled(first)
    assert_settled(second)


def test_lines_that_begin_alike_go_together(principal: Principal, publications: Publications) -> None:
    shared = "A long beginning that many prompts have in common, word for word. " * 6
    content = [
        line(number, prompt=(shared if number % 3 == 1 else "") + f"Number {number}")
        for number in range(1, 193)
    ]
    batch = begin_batch(principal, content)
    feeder.feed()
    fed = publications.take()
    in_slice = "SELECT count(*) FROM jobs WHERE slice_id = :slice AND line_number % 3 = 1"
    assert one(in_slice, slice=fed[0][0]) == 64
    assert again(batch).unfinished == 192


def test_slice_taken_twice_runs_once(principal: Principal, publications: Publications) -> None:
    begin_batch(principal, lines(3))
    feeder.feed()
    ((slice_id, _),) = publications.take()
    with batch_worker(publications) as worker:
        assert worker.runner.run_slice(slice_id) == 3
        assert worker.runner.run_slice(slice_id) == 0
        worker.land()


def test_lost_slice_is_fed_again(
    principal: Principal, publications: Publications, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_batch(principal, lines(3))
    feeder.feed()
    publications.clear()
    assert feeder.feed() == 0
    change("UPDATE jobs SET published_at = published_at - interval '1 hour'")
    monkeypatch.setattr(outbox, "depth", lambda _queue: 0)
    assert slices.forget_lost() == 3
    assert feeder.feed() == 3


def test_broker_away_while_feeding_leaves_the_lines_to_the_next_round(
    principal: Principal, publications: Publications, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_batch(principal, lines(3))

    def refuse(_: object) -> None:
        raise BrokerUnavailable

    with monkeypatch.context() as patch:
        patch.setattr(publications, "publish", refuse)
        with pytest.raises(BrokerUnavailable):
            feeder.feed()
    assert feeder.feed() == 3


def test_lines_that_saw_a_worker_die_run_before_others_and_apart_from_them(
    principal: Principal, publications: Publications
) -> None:
    begin_batch(principal, lines(200))
    change("UPDATE jobs SET worker_losses = 1 WHERE line_number BETWEEN 11 AND 30")
    change("UPDATE jobs SET worker_losses = 2 WHERE line_number BETWEEN 31 AND 32")
    assert feeder.feed() == 22
    taken = publications.take()
    assert all(alone for _, alone in taken)
    count = "SELECT count(*) FROM jobs WHERE slice_id = :slice"
    sizes = [one(count, slice=slice_id) for slice_id, _ in taken]
    assert sorted(sizes) == [1, 1, 4, 8, 8]
    assert feeder.feed() > 0
    assert not any(alone for _, alone in publications.take())

import random

from tests.chaos.soak import grows
from tests.chaos.trend import trend

EVERY_SECONDS = 10.0


def minutes(count: int) -> list[float]:
    return [EVERY_SECONDS * place for place in range(count * 6)]


def test_steady_growth_is_found_at_its_rate() -> None:
    found = trend([(at, 200 + at / 60) for at in minutes(60)])
    assert 59 < found.per_hour < 61
    assert grows("web-1 memory MiB", found)


def test_growth_of_the_first_minutes_alone_is_none() -> None:
    found = trend([(at, min(300.0, 100 + at)) for at in minutes(20)])
    assert found.per_hour == 0
    assert not grows("worker-1 memory MiB", found)


def test_noise_and_a_saw_are_no_growth() -> None:
    dice = random.Random(5)
    noise = trend([(at, 200 + dice.uniform(-20, 20)) for at in minutes(30)])
    saw = trend([(at, 50 * (at % 60)) for at in minutes(30)])
    assert not grows("web-1 open files", noise)
    assert not grows("jobs dead rows", saw)


def test_spike_does_not_move_a_trend() -> None:
    points = [(at, 100.0) for at in minutes(30)]
    points[-3] = (points[-3][0], 5000.0)
    assert trend(points).per_hour == 0


def test_rows_that_are_kept_may_become_more() -> None:
    assert not grows("jobs rows", trend([(at, at * 10) for at in minutes(30)]))

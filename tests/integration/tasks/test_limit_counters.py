"""Counters in Redis and their twin in memory: the same of both, and what holds while Redis is away."""

import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from redis import Redis

from tasks import redis_client
from tasks.errors import LimitsUnavailable
from tasks.limit import Charge, Limit, Unit
from tasks.limit_counters import LimitCounters, counters
from tasks.memory_counters import MemoryCounters
from tasks.redis_counters import RedisCounters
from tasks.settings import settings
from tests.services.redis import RedisServer


def limit(amount: int, name: str = "key:1", unit: Unit = "tokens", seconds: int = 60) -> Limit:
    return Limit(name=name, whose="this API key", unit=unit, amount=amount, seconds=seconds)


@dataclass
class Case:
    """Counters, and a way to let time pass for them."""

    counters: MemoryCounters | RedisCounters
    wait: Callable[[float], None]

    def take(self, *charges: Charge, job_id: str | None = None) -> bool:
        return self.counters.take(charges, job_id)[0]

    def used(self, of: Limit) -> int:
        return self.counters.take([Charge(of, 0)])[1][0].used


@pytest.fixture(params=["memory", "redis"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "memory":
        now = [1000.0]

        def pass_time(seconds: float) -> None:
            now[0] += seconds

        yield Case(MemoryCounters(clock=lambda: now[0]), pass_time)
        return
    url: str = request.getfixturevalue("redis_url")
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    with Redis.from_url(url) as redis:

        def end_windows_earlier(seconds: float) -> None:
            for name in redis.scan_iter(f"{prefix}:limit:*"):
                redis.hincrby(name, "ends", -round(seconds * 1000))

        yield Case(RedisCounters(redis, prefix), end_windows_earlier)
        for name in redis.scan_iter(f"{prefix}:*"):
            redis.delete(name)


def test_window_fills_refuses_and_lets_through_again(case: Case) -> None:
    small = limit(10)
    assert case.take(Charge(small, 6))
    assert not case.take(Charge(small, 5))
    assert case.take(Charge(small, 4))
    fits, (count,) = case.counters.take([Charge(small, 1)])
    assert (fits, count.used) == (False, 10)
    assert 0 < count.seconds_left <= 60
    case.wait(61)
    assert case.take(Charge(small, 10))


def test_refused_request_takes_nothing_from_any_limit(case: Case) -> None:
    wide, narrow = limit(100, "project:1"), limit(10, "model:1")
    assert not case.take(Charge(wide, 11), Charge(narrow, 11), job_id="job_1")
    assert (case.used(wide), case.used(narrow)) == (0, 0)
    case.counters.settle({"job_1": 0})
    assert case.used(wide) == 0


def test_what_a_job_did_not_use_is_given_back_once(case: Case) -> None:
    small = limit(100)
    assert case.take(Charge(small, 60), Charge(limit(5, unit="requests"), 1), job_id="job_1")
    assert case.take(Charge(small, 30), job_id="job_2")
    case.counters.settle({"job_1": 10, "job_2": 30, "job_unknown": 0})
    assert case.used(small) == 40
    case.counters.settle({"job_1": 0})
    assert case.used(small) == 40
    assert case.used(limit(5, unit="requests")) == 1


def test_nothing_is_given_back_to_a_later_window(case: Case) -> None:
    small = limit(100)
    assert case.take(Charge(small, 90), job_id="job_1")
    case.wait(61)
    assert case.take(Charge(small, 50))
    case.counters.settle({"job_1": 0})
    assert case.used(small) == 50


def test_limit_that_was_lowered_can_still_be_looked_at(case: Case) -> None:
    assert case.take(Charge(limit(100), 80))
    assert case.take(Charge(limit(50), 0))
    assert not case.take(Charge(limit(50), 1))


def test_counters_of_the_past_are_forgotten() -> None:
    now = [0.0]
    memory = MemoryCounters(clock=lambda: now[0])
    for number in range(100):
        memory.take([Charge(limit(5, f"key:{number}"), 1)], f"job_{number}")
    now[0] = 100.0
    memory.take([Charge(limit(5), 1)])
    assert (len(memory._windows), len(memory._receipts)) == (1, 0)


def test_counters_in_redis_end_with_their_window(redis_url: str) -> None:
    prefix = f"test-{uuid.uuid4().hex[:8]}"
    with Redis.from_url(redis_url) as redis:
        RedisCounters(redis, prefix).take([Charge(limit(100), 1)], "job_1")
        names = list(redis.scan_iter(f"{prefix}:*"))
        assert len(names) == 2
        assert all(0 < redis.pttl(name) <= 60_000 for name in names)
        redis.delete(*names)


_TAKE = """
import sys
from tasks.limit import Charge, Limit
from tasks.limit_counters import counters
limit = Limit(name="key:1", whose="k", unit="tokens", amount=1000, seconds=60)
print(sum(counters().take([Charge(limit, 10)])[0] for _ in range(80)))
"""


def test_processes_share_their_counts(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("TOKENMILL_QUEUE_PREFIX", f"test-{uuid.uuid4().hex[:8]}")
    processes = [
        subprocess.Popen([sys.executable, "-c", _TAKE], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    let_through = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(let_through) == 100


@pytest.fixture
def use_redis(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LimitCounters]:
    """The counters of a process with this Redis."""

    def use(url: str, when_away: str) -> LimitCounters:
        monkeypatch.setenv("REDIS_URL", url)
        monkeypatch.setenv("TOKENMILL_LIMITS_WHEN_REDIS_IS_AWAY", when_away)
        settings.cache_clear()
        counters.cache_clear()
        return counters()

    return use


def until_redis_counts(found: LimitCounters) -> None:
    until = time.monotonic() + 10
    while redis_client.circuit().is_open and time.monotonic() < until:
        found.settle({"job_none": 0})
        time.sleep(0.02)
    assert not redis_client.circuit().is_open


def test_with_redis_away_each_process_counts_for_itself_until_it_is_back(
    private_redis: RedisServer, use_redis: Callable[..., LimitCounters]
) -> None:
    found, small = use_redis(private_redis.url, "open"), limit(10, f"key:{uuid.uuid4().hex}")
    assert found.take([Charge(small, 8)], "job_1")[0]
    private_redis.stop()
    try:
        assert found.take([Charge(small, 10)])[0]
        assert not found.take([Charge(small, 1)])[0]
        found.settle({"job_1": 0})
        assert found.redis_failures >= 1
    finally:
        private_redis.start()
    until_redis_counts(found)
    assert found.take([Charge(small, 0)])[1][0].used == 8


def test_with_redis_away_nothing_is_let_through_where_so_configured(
    private_redis: RedisServer, use_redis: Callable[..., LimitCounters]
) -> None:
    found, small = use_redis(private_redis.url, "closed"), limit(10, f"key:{uuid.uuid4().hex}")
    assert found.take([Charge(small, 8)])[0]
    private_redis.stop()
    try:
        for _ in range(3):
            with pytest.raises(LimitsUnavailable):
                found.take([Charge(small, 1)])
        found.settle({"job_1": 0})
    finally:
        private_redis.start()
    until_redis_counts(found)
    assert not found.take([Charge(small, 3)])[0]
    assert found.take([Charge(small, 2)])[0]

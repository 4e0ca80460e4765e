"""Circuits: how often what has failed is tried again."""

from collections.abc import Callable, Iterator

import pytest
from redis import RedisError

from tasks import circuit, mail, nonces, redis_client
from tasks.broker import BrokerLeftAlone, guarded
from tasks.circuit import Circuit, circuit_of
from tasks.errors import BrokerUnavailable, MailNotSent, ReplayGuardUnavailable, StorageUnavailable
from tasks.storage import Storage

Configure = Callable[..., None]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(autouse=True)
def untried() -> Iterator[None]:
    circuit.forget()
    yield
    circuit.forget()


def until_allowed(tried: Circuit, clock: Clock) -> float:
    """How long nobody may try."""
    begun = clock.now
    while not tried.allows():
        clock.now += 0.01
    return clock.now - begun


def test_nobody_tries_again_what_has_just_failed_until_a_pause_is_over(clock: Clock) -> None:
    tried = Circuit("broker", first_seconds=1.0, clock=clock)
    assert tried.allows()
    tried.failed()
    assert not tried.allows()
    assert 0.5 <= until_allowed(tried, clock) <= 1.02


def test_one_tries_at_a_time_and_the_others_wait_for_how_it_goes(clock: Clock) -> None:
    tried = Circuit("broker", first_seconds=1.0, clock=clock)
    tried.failed()
    until_allowed(tried, clock)
    assert not tried.allows()
    tried.succeeded()
    assert tried.allows()
    assert tried.allows()


def test_who_tries_and_is_never_heard_of_again_keeps_nobody_out_for_ever(clock: Clock) -> None:
    tried = Circuit("broker", first_seconds=1.0, clock=clock)
    tried.failed()
    until_allowed(tried, clock)
    assert until_allowed(tried, clock) <= 1.02


def test_pauses_grow_to_the_longest_and_are_short_again_after_a_success(clock: Clock) -> None:
    tried = Circuit("broker", first_seconds=1.0, most_seconds=4.0, clock=clock)
    pauses = []
    for _ in range(6):
        tried.failed()
        pauses.append(until_allowed(tried, clock))
    assert pauses[1] > 0.99
    assert 1.98 <= pauses[-1] <= 4.02
    tried.succeeded()
    tried.failed()
    assert until_allowed(tried, clock) <= 1.02


def test_crowd_that_fails_together_makes_the_pause_no_longer(clock: Clock) -> None:
    tried = Circuit("broker", first_seconds=1.0, most_seconds=64.0, clock=clock)
    for _ in range(50):
        tried.failed()
    assert until_allowed(tried, clock) <= 1.02


def test_it_takes_so_many_failures_in_a_row(clock: Clock) -> None:
    tried = Circuit("storage", failures=3, clock=clock)
    for _ in range(2):
        tried.failed()
    tried.succeeded()
    for _ in range(2):
        tried.failed()
    assert tried.allows()
    tried.failed()
    assert not tried.allows()


def test_state_of_a_target_is_that_of_its_worst_way() -> None:
    circuit_of("webhooks", "a")
    circuit_of("redis")
    assert circuit.states() == {"webhooks": False, "redis": False}
    circuit_of("webhooks", "b").failed()
    assert circuit.states() == {"webhooks": True, "redis": False}


def test_hosts_without_number_are_forgotten_but_for_those_that_are_away() -> None:
    circuit_of("webhooks", "away").failed()
    for number in range(3000):
        circuit_of("webhooks", str(number))
    assert len(circuit._circuits) <= 1025
    assert circuit.states() == {"webhooks": True}


def test_broker_that_was_just_away_is_not_waited_for_again() -> None:
    def fail() -> None:
        with guarded():
            raise TimeoutError

    with pytest.raises(BrokerUnavailable):
        fail()
    with pytest.raises(BrokerLeftAlone):
        fail()


class AwayDisk:
    protocol = "away"

    def __init__(self) -> None:
        self.asked = 0

    def cat_file(self, path: str, start: int, end: int) -> bytes:
        self.asked += 1
        raise TimeoutError


def test_storage_that_is_away_is_asked_three_times_and_then_refuses_at_once() -> None:
    away = AwayDisk()
    for _ in range(5):
        with pytest.raises(StorageUnavailable):
            list(Storage(away, "").read("object_1", 0, 1))
    assert away.asked == 3


def test_mail_server_that_is_away_is_not_waited_for_again(configure: Configure) -> None:
    configure(smtp_url="smtp://127.0.0.1:1")
    with pytest.raises(MailNotSent, match="ConnectionRefusedError"):
        mail.send(["ada@example.com"], "s", "b")
    with pytest.raises(MailNotSent, match="a moment ago"):
        mail.send(["ada@example.com"], "s", "b")


def test_redis_that_is_away_is_not_asked_for_every_nonce(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class AwayRedis:
        def set(self, name: str, *_: object, **__: object) -> None:
            asked.append(name)
            raise RedisError

    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    configure()
    monkeypatch.setattr(redis_client, "client", AwayRedis)
    for _ in range(3):
        with pytest.raises(ReplayGuardUnavailable):
            nonces.use("nonce", 60)
    assert len(asked) == 1


def test_target_is_open_while_the_way_to_any_of_its_names_is() -> None:
    for name in ("a", "b", "c"):
        circuit.circuit_of("hosts", name)
    circuit.circuit_of("mail")
    circuit.circuit_of("hosts", "b").failed()
    assert circuit.states() == {"hosts": True, "mail": False}
    circuit.circuit_of("hosts", "b").succeeded()
    assert circuit.states() == {"hosts": False, "mail": False}

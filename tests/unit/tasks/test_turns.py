"""Threads that are woken a few at a time."""

import random
import threading
import time

from tasks.turns import Turns


def test_no_more_than_so_many_work_at_once_and_every_ring_is_answered() -> None:
    turns = Turns(2)
    working, most, answered = [0], [0], [0] * 40
    counting = threading.Lock()
    bells = [turns.bell() for _ in answered]
    rings = 30

    def answer(index: int) -> None:
        bell = bells[index]
        while True:
            assert bell.wait(20)
            with counting:
                working[0] += 1
                most[0] = max(most[0], working[0])
                answered[index] = asked[index]
            time.sleep(random.uniform(0, 0.0005))
            with counting:
                working[0] -= 1
            bell.done()
            if answered[index] == rings:
                bell.close()
                return

    asked = [0] * len(bells)
    threads = [threading.Thread(target=answer, args=(index,)) for index in range(len(bells))]
    for thread in threads:
        thread.start()
    for _ in range(rings):
        for index, bell in enumerate(bells):
            asked[index] += 1
            bell.ring()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    assert most[0] <= 2


def test_ring_before_the_wait_is_not_lost() -> None:
    bell = Turns(1).bell()
    bell.ring()
    assert bell.wait(0)
    assert not bell.wait(0)


def test_ring_during_a_turn_gets_another_one() -> None:
    bell = Turns(1).bell()
    bell.ring()
    assert bell.wait(0)
    bell.ring()
    assert bell.wait(0)


def test_who_leaves_takes_no_turn_along() -> None:
    turns = Turns(1)
    taken, granted, queued, last = (turns.bell() for _ in range(4))
    taken.ring()
    assert taken.wait(0)
    for bell in (granted, queued, last):
        bell.ring()
    assert not granted.wait(0)
    taken.close()
    granted.close()
    queued.close()
    assert last.wait(0)


def test_pause_lets_the_next_one_go_on_meanwhile() -> None:
    turns = Turns(1)
    slow, other = turns.bell(), turns.bell()
    slow.ring()
    other.ring()
    assert slow.wait(0)
    assert not other.wait(0)
    slow.done()
    assert other.wait(0)

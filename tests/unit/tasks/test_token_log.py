import random

from hypothesis import given
from hypothesis import strategies as st

from inference.request import TokenLogprob
from tasks.token_log import TokenLog

IDS = list(range(100, 130))


@given(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=30), st.randoms())
def test_tokens_are_the_same_however_late_often_and_out_of_order_they_come(
    runs: list[tuple[int, int]], order: random.Random
) -> None:
    log = TokenLog()
    parts = [*runs, (0, 30)]
    order.shuffle(parts)
    for start, length in parts:
        log.add(start, IDS[start : start + length])
        known, _ = log.read(0, 100)
        assert list(known) == IDS[: len(known)]
    assert list(log.read(0, 100)[0]) == IDS
    assert not log.has_gap


def test_tokens_that_come_too_early_wait_for_those_before_them() -> None:
    log = TokenLog()
    log.add(2, [3, 4])
    assert log.has_gap
    assert list(log.read(0, 9)[0]) == []
    log.add(0, [1, 2])
    assert list(log.read(1, 2)[0]) == [2, 3]
    assert not log.has_gap


def test_log_probabilities_keep_to_their_tokens() -> None:
    log = TokenLog()
    entries = [TokenLogprob(token_id, -1.0 * token_id) for token_id in IDS]
    log.add(0, IDS[:4], entries[:4])
    log.add(6, IDS[6:], entries[6:])
    log.add(2, IDS[2:8], entries[2:8])
    token_ids, logprobs = log.read(0, 100)
    assert [entry.token_id for entry in logprobs] == list(token_ids) == IDS

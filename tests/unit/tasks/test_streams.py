import json

from inference.request import TokenLogprob
from tasks.stream_publisher import by_listener
from tasks.streams import Tokens, decode, encode


def test_tokens_survive_their_journey() -> None:
    batch = [
        Tokens("job_1", 0, 4, (5, 6)),
        Tokens("job_2", 1, 0, (7,), (TokenLogprob(7, -0.25, ((7, -0.25), (8, -1.5))),)),
    ]
    assert decode(encode(batch)) == batch


def test_only_ids_travel() -> None:
    assert json.loads(encode([Tokens("job_1", 0, 4, (5, 6))])) == [
        {"job": "job_1", "choice": 0, "start": 4, "ids": [5, 6]}
    ]


def test_each_listener_is_sent_its_own_and_tokens_in_a_row_become_one_entry() -> None:
    items = [
        (["a", "b"], Tokens("job_1", 0, 0, (1,))),
        (["a"], Tokens("job_2", 0, 7, (9,))),
        (["a", "b"], Tokens("job_1", 1, 0, (2,))),
        (["a"], Tokens("job_1", 0, 1, (3,))),
    ]
    assert by_listener(items) == {
        "a": [
            Tokens("job_1", 0, 0, (1, 3)),
            Tokens("job_2", 0, 7, (9,)),
            Tokens("job_1", 1, 0, (2,)),
        ],
        "b": [Tokens("job_1", 0, 0, (1,)), Tokens("job_1", 1, 0, (2,))],
    }


def test_a_snapshot_among_later_tokens_is_an_entry_of_its_own() -> None:
    items = [(["a"], Tokens("job_1", 0, 3, (4,))), (["a"], Tokens("job_1", 0, 0, (1, 2, 3, 4)))]
    assert by_listener(items) == {"a": [tokens for _, tokens in items]}

"""The neutral events of a job, whole and from a position."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from inference.request import SamplingParams
from tasks.errors import InvalidRequest
from tasks.job import JobRecord
from tasks.models import JobStatus
from tasks.result import Choice, JobResult
from tasks.wire.chunks import Event, Piece
from tasks.wire.job_events import JobEvents

MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
KNOWN: dict[str, Any] = {
    "id": "job_1",
    "type": "completion",
    "model": "m",
    "status": JobStatus.IN_PROGRESS,
    "metadata": {},
    "created_at": MOMENT,
    "expires_at": MOMENT,
    "attempt": 1,
}
JOB = JobRecord(**{**dict.fromkeys(JobRecord.__slots__), **KNOWN})
PIECES = [
    Piece(choice=0, position=1, text="a", token_id=5),
    Piece(choice=1, position=1, text="", token_id=6),
    Piece(choice=0, position=2, text="b", token_id=7),
    Piece(choice=0, position=2, text="held"),
]


def result(outputs: int = 2) -> JobResult:
    return JobResult(
        job=JOB,
        request={},
        params=SamplingParams(max_tokens=4),
        n=outputs,
        best_of=outputs,
        prompts=((1,),),
        choices=(Choice(text="", token_ids=()),) * outputs,
    )


def data(events: list[Event]) -> list[dict[str, Any]]:
    return [json.loads(event.data) for event in events]


def test_a_stream_is_the_job_its_tokens_and_the_job() -> None:
    renderer = JobEvents()
    opening = list(renderer.begin(result()))
    middle = [event for piece in PIECES for event in renderer.piece(piece)]
    closing = list(renderer.end(result()))
    assert [event.event for event in [*opening, *middle, *closing]] == ["job", *["tokens"] * 4, "job"]
    assert data(opening)[0]["id"] == "job_1"
    assert data(middle)[0] == {
        "object": "job.tokens",
        "job_id": "job_1",
        "choice": 0,
        "position": 1,
        "text": "a",
        "token_ids": [5],
    }
    assert data(middle)[3] == data(middle)[2] | {"text": "held", "token_ids": []}


@pytest.mark.parametrize(
    ("position", "left"), [((0, 0), 4), ((1, 0), 3), ((1, 1), 2), ((2, 1), 1), ((3, 1), 0), ((9, 9), 0)]
)
def test_what_was_seen_is_left_out(position: tuple[int, int], left: int) -> None:
    renderer = JobEvents(position)
    list(renderer.begin(result()))
    assert len([event for piece in PIECES for event in renderer.piece(piece)]) == left


def test_a_position_of_another_kind_of_job_is_refused_by_name() -> None:
    with pytest.raises(InvalidRequest) as refused:
        JobEvents((1,), "Last-Event-ID").begin(result())
    assert refused.value.param == "Last-Event-ID"

"""What a batch is asked for, and how it is shown."""

from decimal import Decimal
from typing import Any

import pytest
from openai.types import Batch

from tasks.batch import BatchStatus
from tasks.plan import Endpoint
from tasks.wire.batch import BATCH_REQUEST, batch_body
from tests.unit.tasks.wire.batches import MOMENT, make_batch
from tests.unit.tasks.wire.refusals import refusal

ASKED: dict[str, Any] = {
    "input_file_id": "file-1",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
}


def test_request_becomes_a_plan() -> None:
    more = {
        "metadata": {"a": "b"},
        "output_expires_after": {"anchor": "created_at", "seconds": 3600},
        "on_invalid_line": "skip",
        "on_error": "stop",
        "max_cost_usd": 0.1,
    }
    plan = BATCH_REQUEST.validate_python(ASKED | more).plan()
    assert (plan.endpoint, plan.completion_window_seconds) == (Endpoint.CHAT_COMPLETIONS, 86_400)
    assert (plan.metadata, plan.output_expires_after_seconds) == ({"a": "b"}, 3600)
    assert (plan.on_invalid_line, plan.on_error) == ("skip", "stop")
    assert plan.max_cost_usd == Decimal("0.1"), "not the nearest float"


@pytest.mark.parametrize(
    ("window", "seconds"), [("1h", 3600), ("60m", 3600), ("7d", 604_800), ("168h", 604_800), ("36h", 129_600)]
)
def test_window_may_be_anything_from_an_hour_to_a_week(window: str, seconds: int) -> None:
    plan = BATCH_REQUEST.validate_python(ASKED | {"completion_window": window}).plan()
    assert plan.completion_window_seconds == seconds


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"completion_window": "59m"}, "completion_window"),
        ({"completion_window": "8d"}, "completion_window"),
        ({"completion_window": "1 day"}, "completion_window"),
        ({"completion_window": 24}, "completion_window"),
        ({"endpoint": "/v1/jobs"}, "endpoint"),
        ({"endpoint": "/v1/moderations"}, "endpoint"),
        ({"input_file_id": ""}, "input_file_id"),
        ({"output_expires_after": {"anchor": "created_at", "seconds": 3599}}, "output_expires_after.seconds"),
        ({"output_expires_after": {"seconds": 3600}}, "output_expires_after.anchor"),
        ({"on_invalid_line": "ignore"}, "on_invalid_line"),
        ({"on_error": "fail"}, "on_error"),
        ({"max_cost_usd": "NaN"}, "max_cost_usd"),
        ({"max_cost_usd": "1e999"}, "max_cost_usd"),
        ({"max_cost_usd": -1}, "max_cost_usd"),
        ({"max_cost_usd": True}, "max_cost_usd"),
        ({"max_cost_usd": "much"}, "max_cost_usd"),
        ({"metadata": {"k": "v" * 513}}, "metadata.k"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_wrong_request_is_refused_by_its_field(change: dict[str, Any], param: str) -> None:
    assert refusal(BATCH_REQUEST, lambda request: request.plan(), ASKED | change).param == param


def test_body_has_every_field_of_the_sdk() -> None:
    body = batch_body(make_batch()).model_dump(mode="json")
    assert set(Batch.model_fields) <= set(body)
    batch = Batch.model_validate(body)
    assert batch.status == "in_progress"
    assert batch.created_at == batch.expires_at == batch.in_progress_at == MOMENT.timestamp()
    assert batch.completed_at is None
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 3, "completed": 2, "failed": 0}
    assert batch.usage is not None
    assert (batch.usage.input_tokens, batch.usage.output_tokens, batch.usage.total_tokens) == (20, 7, 27)
    assert batch.usage.input_tokens_details.cached_tokens == 5
    assert body["cost_usd"] == "0.00001"


def test_error_file_is_shown_from_its_first_line_on() -> None:
    assert batch_body(make_batch()).error_file_id is None
    assert batch_body(make_batch(last_position=3, failed=1)).error_file_id == "file-err"


def test_output_file_is_shown_while_it_grows_and_not_when_it_stayed_empty() -> None:
    empty = {"completed": 0, "last_position": 0}
    assert batch_body(make_batch(**empty)).output_file_id == "file-out"
    assert batch_body(make_batch(**empty, status=BatchStatus.CANCELLED)).output_file_id is None
    assert batch_body(make_batch(status=BatchStatus.CANCELLED)).output_file_id == "file-out"


def test_faults_are_listed_with_their_lines() -> None:
    fault = {"code": "invalid_json", "message": "Line 2 …", "param": None, "line": 2}
    body = batch_body(make_batch(status=BatchStatus.FAILED, errors=[fault]))
    assert body.errors is not None
    assert [error.model_dump() for error in body.errors.data] == [fault]

"""The lines of output and error files."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tasks.batch_results import FinishedLine
from tasks.models import JobStatus
from tasks.result import Choice
from tasks.wire.batch_line import line_bytes
from tasks.wire.chat_completions import chat_body
from tests.unit.tasks.wire.batches import BATCH_ID
from tests.unit.tasks.wire.results import DIGITS, MODEL, make_result

REQUEST = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}
TEXT = 'He said "no",\n  and left. \u2028é'
RESULT = make_result(REQUEST, [Choice(text=TEXT, token_ids=(1, 2), finish_reason="stop")])


def shown(**fields: Any) -> dict[str, Any]:
    line = FinishedLine(**{"position": 1, "line_number": 7, "custom_id": "mine", **fields})
    content = line_bytes(BATCH_ID, line)
    assert content == line_bytes(BATCH_ID, line)
    assert content.endswith(b"\n")
    assert content.count(b"\n") == 1
    value: dict[str, Any] = json.loads(content)
    assert list(value) == ["id", "custom_id", "response", "error"]
    return value


def test_completed_line_has_the_body_of_its_endpoint() -> None:
    line = shown(result=replace(RESULT, job=replace(RESULT.job, service_tier="batch")))
    assert (line["id"], line["custom_id"], line["error"]) == (f"batch_req_{DIGITS}", "mine", None)
    assert line["response"] == {
        "status_code": 200,
        "request_id": f"req_{DIGITS}",
        "body": chat_body(RESULT).model_dump(mode="json"),
    }


@pytest.mark.parametrize("custom_id", ["", '"}', "a\\", "\u2028", "ü"])
def test_any_custom_id_comes_back_as_it_was(custom_id: str) -> None:
    assert shown(result=RESULT, custom_id=custom_id)["custom_id"] == custom_id


def test_failed_line_has_the_error_that_its_endpoint_would_answer() -> None:
    failed = make_result(
        REQUEST, [], status=JobStatus.FAILED, error_code="worker_lost", error_message="Three workers died."
    )
    line = shown(result=failed, code="worker_lost")
    assert line["error"] is None
    assert line["response"]["status_code"] == 500
    assert line["response"]["body"]["error"] == {
        "message": "Three workers died.",
        "type": "server_error",
        "param": None,
        "code": "worker_lost",
    }


@pytest.mark.parametrize(("code", "status"), [("invalid_value", 400), ("model_not_found", 404)])
def test_invalid_line_has_the_refusal_that_its_endpoint_would_answer(code: str, status: int) -> None:
    error = {"code": code, "message": "No.", "param": "body.model", "line": 7}
    line = shown(error=error, code=code, custom_id=None)
    digits = BATCH_ID.removeprefix("batch_")
    assert (line["id"], line["custom_id"], line["error"]) == (f"batch_req_{digits}_7", None, None)
    assert line["response"]["status_code"] == status
    assert line["response"]["body"]["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "body.model",
        "code": code,
    }


@pytest.mark.parametrize("code", ["batch_expired", "batch_cancelled"])
def test_line_that_never_ran_has_no_response(code: str) -> None:
    line = shown(error={"code": code, "message": "Too late."}, code=code)
    assert line["response"] is None
    assert line["error"] == {"code": code, "message": "Too late."}

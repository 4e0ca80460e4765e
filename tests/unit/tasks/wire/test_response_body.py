"""The response object, as the SDK's own types take it."""

import json
from typing import Any

import pytest
from openai.types.responses import Response

from inference.request import TokenLogprob
from tasks.models import JobStatus
from tasks.result import JobResult
from tasks.wire.response_body import response_body
from tests.unit.tasks.wire.responses import DIGITS, FUNCTION, MESSAGE, MOMENT, RENDERER, response

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'


def body(result: JobResult) -> dict[str, Any]:
    """The body as JSON; the SDK's types are strict about all of it."""
    text = response_body(result, RENDERER).model_dump_json(by_alias=True)
    Response.model_validate_json(text)
    shown: dict[str, Any] = json.loads(text)
    return shown


@pytest.mark.parametrize(
    ("status", "finish_reason", "shown"),
    [
        (JobStatus.QUEUED, None, "queued"),
        (JobStatus.IN_PROGRESS, None, "in_progress"),
        (JobStatus.COMPLETED, "stop", "completed"),
        (JobStatus.COMPLETED, "length", "incomplete"),
        (JobStatus.FAILED, None, "failed"),
        (JobStatus.CANCELLED, None, "cancelled"),
        (JobStatus.EXPIRED, None, "failed"),
    ],
)
def test_status(status: JobStatus, finish_reason: str | None, shown: str) -> None:
    found = body(response("some", status=status, finish_reason=finish_reason))
    assert found["status"] == shown
    assert (found["error"] is not None) == (shown == "failed")
    assert (found["incomplete_details"] == {"reason": "max_output_tokens"}) == (shown == "incomplete")
    assert found["completed_at"] == (int(MOMENT.timestamp()) if shown == "completed" else None)


def test_completed_response_has_its_text_under_ids_of_its_own() -> None:
    found = body(
        response(
            "Paris.", billed_prompt_tokens=9, cached_tokens=4, completion_tokens=3, conversation_id="conv_1"
        )
    )
    assert found["id"] == f"resp_{DIGITS}"
    assert found["output"] == [
        {
            "id": f"msg_{DIGITS}_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Paris.", "annotations": [], "logprobs": []}],
        }
    ]
    assert found["usage"] == {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    }
    assert found["conversation"] == {"id": "conv_1"}


def test_parameters_are_shown_as_they_were_given() -> None:
    given: dict[str, Any] = {
        "instructions": "be kind",
        "previous_response_id": "resp_1",
        "max_output_tokens": 7,
        "temperature": 0,
        "top_p": 0.5,
        "top_logprobs": 2,
        "tools": [{**FUNCTION, "description": "d", "strict": True}],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "weather"}],
        },
        "parallel_tool_calls": False,
        "truncation": "auto",
        "background": True,
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
    }
    found = body(response("x", request=given))
    assert {name: found[name] for name in given} == given
    schema = {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "description": None}
    found = body(response("{}", request={"text": {"format": {**schema, "strict": True}}}))
    assert found["text"] == {"format": {**schema, "strict": True}}


def test_parameters_left_out_or_null_are_shown_with_what_they_mean() -> None:
    expected = {
        "temperature": 1.0,
        "top_p": 1.0,
        "tools": [],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "truncation": "disabled",
        "background": False,
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": None, "summary": None},
        "instructions": None,
        "max_output_tokens": None,
    }
    for request in ({}, dict.fromkeys(expected)):
        found = body(response("x", request=request))
        assert {name: found[name] for name in expected} == expected


def test_failure_says_why_in_words_the_sdk_knows_and_in_ours() -> None:
    failed = body(response(status=JobStatus.FAILED, error_code="worker_lost", error_message="gone"))
    assert failed["error"] == {"code": "server_error", "message": "gone", "type": "worker_lost"}
    assert failed["output"] == []
    expired = body(response(status=JobStatus.EXPIRED))
    assert expired["error"]["type"] == "job_expired"


def test_call_is_taken_out_of_the_text() -> None:
    found = body(response(f"Let me see.\n{CALL}", request={"tools": [FUNCTION]}))
    message, call = found["output"]
    assert message["content"][0]["text"] == "Let me see."
    assert call == {
        "id": f"fc_{DIGITS}_2",
        "type": "function_call",
        "status": "completed",
        "call_id": f"call_{DIGITS}_2",
        "name": "weather",
        "arguments": '{"city": "Paris"}',
    }


def test_call_cut_off_is_incomplete() -> None:
    (call,) = body(response(CALL[:60], finish_reason="length", request={"tools": [FUNCTION]}))["output"]
    assert call["status"] == "incomplete"
    assert call["arguments"].startswith('{"city"')


def test_text_that_only_reads_like_a_call_stays_text() -> None:
    (message,) = body(response(CALL))["output"]
    assert message["content"][0]["text"] == CALL


@pytest.mark.parametrize(
    ("status", "finish_reason", "shown"),
    [
        (JobStatus.IN_PROGRESS, None, "in_progress"),
        (JobStatus.COMPLETED, "length", "incomplete"),
        (JobStatus.CANCELLED, None, "incomplete"),
    ],
)
def test_message_cut_short_says_so(status: JobStatus, finish_reason: str | None, shown: str) -> None:
    (message,) = body(response("so far", status=status, finish_reason=finish_reason))["output"]
    assert message["status"] == shown


def test_nothing_said_is_an_empty_message_only_of_a_response_that_ended_well() -> None:
    (message,) = body(response(""))["output"]
    assert message["content"][0]["text"] == ""
    for status in (JobStatus.QUEUED, JobStatus.IN_PROGRESS, JobStatus.CANCELLED, JobStatus.FAILED):
        assert body(response("", status=status))["output"] == []


def test_logprobs_are_those_of_the_texts_tokens() -> None:
    token_ids = [*RENDERER.plain("Paris is"), *RENDERER.eos_token_ids]
    scores = tuple(TokenLogprob(one, -0.5, ((one, -0.5), (7, -2.0))) for one in token_ids)
    request = {"include": ["message.output_text.logprobs"], "top_logprobs": 2}
    (message,) = body(response("Paris is", request=request, logprobs=scores))["output"]
    logprobs = message["content"][0]["logprobs"]
    assert "".join(one["token"] for one in logprobs) == "Paris is"
    assert bytes(byte for one in logprobs for byte in one["bytes"]) == b"Paris is"
    assert all(len(one["top_logprobs"]) == 2 for one in logprobs)


def test_response_of_a_model_that_is_gone_is_shown_as_it_was_written() -> None:
    result = response(CALL, request={"tools": [FUNCTION], "input": [MESSAGE, MESSAGE]})
    (message,) = response_body(result, None).output
    assert message.id == f"msg_{DIGITS}_2"
    assert message.type == "message"
    assert message.content[0].text == CALL

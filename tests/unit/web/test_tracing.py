"""A request's own step, and what its caller is told of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from tasks.tracing import recording
from tasks.tracing.context import parse
from tests.services.traces import parent_id, read_steps, span_id, trace_id
from tests.unit.web.conftest import AUTHORIZED, MakeApp

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
Recorded = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def traced(make_app: MakeApp, tmp_path: Path) -> Iterator[FlaskClient]:
    recording.close()
    yield make_app(traces_file=tmp_path / "traces").test_client()
    recording.close()


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    def read() -> list[dict[str, Any]]:
        recording.close()
        return read_steps(tmp_path / "traces")

    return read


def test_request_goes_on_with_its_callers_trace_and_says_where(
    traced: FlaskClient, recorded: Recorded
) -> None:
    headers = {**AUTHORIZED, "traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "vendor=one"}
    response = traced.get("/v1/models?note=squirrel", headers=headers, buffered=True)
    told = parse(response.headers["traceparent"])
    (step,) = recorded()
    assert step["name"] == "GET /v1/models"
    assert step["kind"] == "SpanKind.SERVER"
    assert (trace_id(step), parent_id(step)) == (TRACE, CALLER)
    assert told is not None
    assert (told.trace_id, told.span_id, told.sampled) == (TRACE, span_id(step), True)
    assert step["context"]["trace_state"] == "[vendor=one]" or "vendor" in step["context"]["trace_state"]
    attributes = step["attributes"]
    assert (attributes["http.route"], attributes["http.response.status_code"]) == ("/v1/models", 200)
    assert attributes["tokenmill.request.id"] == response.headers["x-request-id"]
    assert attributes["tokenmill.project.id"] == "proj_1"
    assert "squirrel" not in repr(step)


@pytest.mark.parametrize("malformed", ["hello", f"00-{TRACE}-{CALLER}", f"00-{'0' * 32}-{CALLER}-01"])
def test_request_with_a_malformed_context_begins_a_trace(
    traced: FlaskClient, recorded: Recorded, malformed: str
) -> None:
    response = traced.get("/v1/nowhere", headers={"traceparent": malformed}, buffered=True)
    (step,) = recorded()
    assert parent_id(step) is None
    assert trace_id(step) != TRACE
    assert step["name"] == "GET"
    assert parse(response.headers["traceparent"]) is not None


def test_caller_that_records_nothing_has_its_trace_id_back_and_no_steps(
    traced: FlaskClient, recorded: Recorded
) -> None:
    headers = {**AUTHORIZED, "traceparent": f"00-{TRACE}-{CALLER}-00"}
    response = traced.get("/v1/models", headers=headers, buffered=True)
    told = parse(response.headers["traceparent"])
    assert told is not None
    assert (told.trace_id, told.sampled) == (TRACE, False)
    assert recorded() == []


def test_probes_are_not_traced(traced: FlaskClient, recorded: Recorded) -> None:
    assert "traceparent" not in traced.get("/healthz").headers
    assert recorded() == []


def test_nothing_is_told_where_tracing_is_off(client: FlaskClient) -> None:
    sent = {**AUTHORIZED, "traceparent": f"00-{TRACE}-{CALLER}-01"}
    assert "traceparent" not in client.get("/v1/models", headers=sent).headers

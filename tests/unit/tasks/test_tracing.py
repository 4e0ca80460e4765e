"""Recording and exporting, with OpenTelemetry's own parts."""

import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tasks.tracing import recording, span_queue
from tasks.tracing.context import parse
from tasks.tracing.span_queue import SpanQueue
from tests.services.traces import parent_id, read_steps, service, trace_id
from tests.unit.tasks.conftest import Configure

PARENT = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "vendor=one")
UNSAMPLED = parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00")


@pytest.fixture(autouse=True)
def _own_tracers(configure: Configure) -> Iterator[None]:
    recording.close()
    yield
    recording.close()
    for thread in threading.enumerate():
        if thread.name == "tokenmill-traces":
            thread.join(10)


class Exporter(SpanExporter):
    """Does with each batch what a test says."""

    def __init__(self, result: SpanExportResult = SpanExportResult.SUCCESS) -> None:
        self.result = result
        self.names: list[str] = []
        self.open = threading.Event()
        self.open.set()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.open.wait(5)
        if self.result is SpanExportResult.FAILURE:
            raise ConnectionError("collector away")
        self.names += [span.name for span in spans]
        return self.result


def end_spans(queue: SpanQueue, *names: str) -> None:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    for name in names:
        provider.get_tracer("tests").start_span(name).end()


def test_steps_are_written_under_their_parent_by_kind_of_process(
    configure: Configure, tmp_path: Path
) -> None:
    configure(traces_file=tmp_path / "traces")
    with recording.step("web", "admit", PARENT, {"tokenmill.job.id": "job_1", "absent": None}):
        pass
    with pytest.raises(ValueError, match="secret"), recording.step("worker", "job", PARENT):
        raise ValueError("a secret")
    recording.close()
    admit, job = read_steps(tmp_path / "traces")
    assert PARENT is not None
    assert (trace_id(admit), parent_id(admit)) == (PARENT.trace_id, PARENT.span_id)
    assert admit["attributes"] == {"tokenmill.job.id": "job_1"}
    assert (service(admit), service(job)) == ("tokenmill-web", "tokenmill-worker")
    assert job["status"]["status_code"] == "ERROR"
    assert job["attributes"] == {"error.type": "ValueError"}
    assert "secret" not in (tmp_path / "traces").read_text()


def test_trace_that_its_caller_does_not_record_is_not_recorded(configure: Configure, tmp_path: Path) -> None:
    configure(traces_file=tmp_path / "traces")
    with recording.step("web", "admit", UNSAMPLED):
        pass
    recording.close()
    assert read_steps(tmp_path / "traces") == []


def test_ratio_is_of_traces_that_begin_here_alone(configure: Configure, tmp_path: Path) -> None:
    configure(traces_file=tmp_path / "traces", traces_sample_ratio=0)
    tracer = recording.tracer("web")
    assert tracer is not None
    tracer.begin("first", "server", None, {}).end()
    below = tracer.begin("below", "server", PARENT, {})
    assert below.context.tracestate == "vendor=one"
    below.end()
    recording.close()
    assert [step["name"] for step in read_steps(tmp_path / "traces")] == ["below"]


def test_nothing_is_recorded_where_tracing_is_off() -> None:
    assert recording.tracer("web") is None
    with recording.step("web", "admit", PARENT):
        pass


def test_collector_gets_steps_over_http(configure: Configure) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        configure(traces_endpoint=f"http://127.0.0.1:{server.server_port}")
        with recording.step("web", "admit", PARENT):
            pass
        recording.close()
        server.shutdown()
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"tokenmill-web" in body
    assert b"admit" in body


def test_collector_that_is_away_slows_nothing_and_breaks_nothing(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(span_queue, "_LAST_WORDS_SECONDS", 0.2)
    configure(traces_endpoint="http://127.0.0.1:1")
    # Loads OpenTelemetry.
    assert recording.tracer("web") is not None
    begun = time.monotonic()
    for _ in range(100):
        with recording.step("web", "admit", PARENT):
            pass
    recording.close()
    assert time.monotonic() - begun < 2


def test_spans_that_no_exporter_takes_are_counted_and_told_of_once(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = Exporter(SpanExportResult.FAILURE)
    queue = SpanQueue([exporter], every_seconds=0.01)
    with structlog.testing.capture_logs() as lines:
        monkeypatch.setattr(span_queue, "log", structlog.get_logger())
        for _ in range(3):
            end_spans(queue, "lost")
            assert queue.force_flush(5000)
        exporter.result = SpanExportResult.SUCCESS
        for _ in range(2):
            end_spans(queue, "kept")
            assert queue.force_flush(5000)
        queue.shutdown()
    assert queue.dropped == 3
    assert exporter.names == ["kept", "kept"]
    assert [line["action"] for line in lines] == ["traces_lost", "traces_back"]
    assert (lines[0]["error"], lines[1]["spans_lost"]) == ("ConnectionError", 3)


def test_full_queue_drops_and_never_waits() -> None:
    exporter = Exporter()
    exporter.open.clear()
    queue = SpanQueue([exporter], most=10, every_seconds=0.01)
    begun = time.monotonic()
    end_spans(queue, *(f"span {number}" for number in range(1000)))
    assert time.monotonic() - begun < 2
    assert queue.dropped >= 1000 - 2 * 10
    exporter.open.set()
    queue.shutdown()
    assert len(exporter.names) == 1000 - queue.dropped


def test_what_waits_at_the_end_is_exported() -> None:
    exporter = Exporter()
    queue = SpanQueue([exporter], every_seconds=60)
    end_spans(queue, "first", "last")
    queue.shutdown()
    queue.shutdown()
    assert exporter.names == ["first", "last"]
    end_spans(queue, "too late")
    assert queue.dropped == 1


def test_file_that_cannot_be_written_breaks_nothing(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(traces_file=tmp_path / "missing" / "traces")
    with structlog.testing.capture_logs() as lines:
        monkeypatch.setattr(span_queue, "log", structlog.get_logger())
        with recording.step("web", "admit", PARENT):
            pass
        recording.close()
    assert [line["error"] for line in lines] == ["FileNotFoundError"]

"""What the platform in one process tells Prometheus of a job."""

import time

import pytest

from tasks.metrics import exported_names
from tests.acceptance.conftest import LiveServer
from tests.unit.tasks.metrics.samples import Page

LABELS = {"model": "smollm2-135m-instruct", "tier": "default"}
pytestmark = pytest.mark.embedded("processes have a page each, whose sums other tests look at")

# There where there is a GPU, or where something failed.
SOMETIMES = {"tokenmill_device_power_watts", "tokenmill_circuit_open"}


def scrape(server: LiveServer) -> Page:
    answer = server.http.get("/metrics")
    assert answer.status_code == 200, answer.text
    return Page.parse(answer.text)


def stream(server: LiveServer) -> None:
    body = {"model": "smollm2", "prompt": "1, 2, 3,", "max_tokens": 3, "stream": True}
    with server.http.stream("POST", "/v1/completions", json=body) as response:
        assert response.status_code == 200
        response.read()


def test_everything_is_told_on_one_page(live_server: LiveServer) -> None:
    stream(live_server)
    until = time.monotonic() + 30
    while missing := exported_names() - SOMETIMES - scrape(live_server).families:
        assert time.monotonic() < until, missing
        time.sleep(0.5)


def test_job_is_counted_to_the_token_and_the_cent(live_server: LiveServer) -> None:
    before = scrape(live_server)
    job = live_server.ended(live_server.submit(prompt="1, 2, 3, 4, 5,", max_tokens=6)["id"])
    after = scrape(live_server)

    def grown(name: str, **labels: str) -> float:
        return after.of(name, **LABELS | labels) - before.of(name, **LABELS | labels)

    assert job["status"] == "completed"
    for name in ("jobs_admitted_total", "job_attempts_total", "job_queue_seconds_count", "job_seconds_count"):
        assert grown(name) == 1, name
    assert grown("jobs_ended_total", outcome="completed") == 1
    usage = job["usage"]
    assert (
        grown("tokens_total", kind="input") + grown("tokens_total", kind="cached") == usage["prompt_tokens"]
    )
    assert grown("tokens_total", kind="cached") == usage["cached_tokens"]
    assert grown("tokens_total", kind="output") == usage["completion_tokens"]
    # What is added up as floats has their precision.
    assert grown("cost_usd_total") == pytest.approx(float(job["cost_usd"]), rel=1e-6)
    assert after.of("ledger_conserved") == 1
    assert after.of("live_workers", model=LABELS["model"]) == 1

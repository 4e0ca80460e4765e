"""Batches and their files over HTTP, on a real Postgres; the test is scheduler and worker."""

import hashlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tasks import batch_file_sizes, batch_files, batch_validation, keys, projects, storage
from tasks.models import JobStatus
from tasks.settings import settings
from tasks.throughput import Throughput
from tests.integration.web.batch_work import CHAT, BatchWork, chat_line, jsonl
from tests.integration.web.conftest import Api


@pytest.fixture
def work(api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchWork]:
    monkeypatch.setenv("TOKENMILL_STORAGE_URL", str(tmp_path / "files"))
    settings.cache_clear()
    storage.storage.cache_clear()
    batch_files._marks.clear()
    yield BatchWork(api.http)
    storage.storage.cache_clear()


def chats(count: int) -> list[dict[str, Any]]:
    return [chat_line(number) for number in range(1, count + 1)]


def test_batch_goes_from_validating_to_completed(work: BatchWork) -> None:
    batch = work.create(chats(3), metadata={"team": "search"})
    assert (batch["status"], batch["model"], batch["output_file_id"]) == ("validating", None, None)
    batch_validation.validate_waiting()
    running = work.read(batch["id"])
    assert running["status"] == "in_progress"
    assert running["request_counts"] == {"total": 3, "completed": 0, "failed": 0}
    assert running["metadata"] == {"team": "search"}
    work.end(batch["id"], [2, 1, 3])
    done = work.read(batch["id"])
    assert done["status"] == "completed"
    assert done["request_counts"] == {"total": 3, "completed": 3, "failed": 0}
    lines = work.lines(done["output_file_id"])
    assert [line["custom_id"] for line in lines] == ["line-2", "line-1", "line-3"]
    usages = [line["response"]["body"]["usage"] for line in lines]
    assert sum(usage["prompt_tokens"] for usage in usages) == done["usage"]["input_tokens"] > 0
    assert sum(usage["completion_tokens"] for usage in usages) == done["usage"]["output_tokens"] == 6
    assert Decimal(done["cost_usd"]) > 0
    assert done["error_file_id"] is None


def test_output_file_only_grows_while_the_batch_runs(work: BatchWork) -> None:
    batch = work.begun(chats(4))
    file_id = batch["output_file_id"]
    assert work.content(file_id).content == b""
    seen = b""
    for number in (3, 1, 4, 2):
        work.end(batch["id"], [number])
        now = work.content(file_id).content
        assert now.startswith(seen)
        assert now.count(b"\n") == seen.count(b"\n") + 1
        seen = now


def test_range_of_a_growing_file_is_what_was_not_read_yet(work: BatchWork) -> None:
    batch = work.begun(chats(4))
    file_id = batch["output_file_id"]
    assert work.content(file_id, Range="bytes=0-").status_code == 416
    work.end(batch["id"], [1, 2])
    first = work.content(file_id)
    assert "Content-Length" not in first.headers
    assert work.content(file_id, Range=f"bytes={len(first.content)}-").status_code == 416
    work.end(batch["id"], [4, 3])
    rest = work.content(file_id, Range=f"bytes={len(first.content)}-")
    whole = work.content(file_id).content
    assert rest.status_code == 206
    assert first.content + rest.content == whole
    assert rest.headers["Content-Range"] == f"bytes {len(first.content)}-{len(whole) - 1}/{len(whole)}"
    for span in ((0, 9), (5, 5), (len(first.content) - 3, len(first.content) + 3), (3, 10**9)):
        part = work.content(file_id, Range=f"bytes={span[0]}-{span[1]}")
        assert (part.status_code, part.content) == (206, whole[span[0] : span[1] + 1])
    assert work.content(file_id, Range="bytes=-7").content == whole[-7:]


def test_places_in_a_file_are_remembered_and_forgotten_without_a_difference(
    work: BatchWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_files, "_MARK_EVERY_LINES", 2)
    batch = work.begun(chats(7))
    work.end(batch["id"], [3, 1, 2, 7, 6, 5, 4])
    file_id = work.read(batch["id"])["output_file_id"]
    whole = work.content(file_id).content
    for start in range(0, len(whole), 97):
        assert work.content(file_id, Range=f"bytes={start}-").content == whole[start:]
        batch_files._marks.clear()
        assert work.content(file_id, Range=f"bytes={start}-{start + 50}").content == whole[start : start + 51]


def test_file_of_an_ended_batch_has_its_exact_size_and_a_tag(work: BatchWork) -> None:
    batch = work.begun(chats(2))
    file_id = batch["output_file_id"]
    work.end(batch["id"], [1])
    assert "ETag" not in work.content(file_id).headers
    work.end(batch["id"], [2], JobStatus.FAILED)
    shown = work.http.get(f"/v1/files/{file_id}").json()
    content = work.content(file_id)
    assert (shown["bytes"], shown["purpose"]) == (len(content.content), "batch_output")
    assert content.headers["ETag"] == f'"{hashlib.sha256(content.content).hexdigest()}"'
    assert work.content(file_id, **{"If-None-Match": content.headers["ETag"]}).status_code == 304


def test_scheduler_measures_the_files_of_ended_batches(work: BatchWork) -> None:
    batch = work.begun(chats(2))
    work.end(batch["id"], [1])
    assert batch_file_sizes.measure_ended() == 0
    work.end(batch["id"], [2])
    assert batch_file_sizes.measure_ended() == 2
    assert batch_file_sizes.measure_ended() == 0
    listed = work.http.get("/v1/files", params={"purpose": "batch_output"}).json()["data"]
    sizes = {file["id"]: file["bytes"] for file in listed}
    assert sizes[batch["output_file_id"]] == len(work.content(batch["output_file_id"]).content)
    assert sorted(sizes.values())[0] == 0


def test_failed_line_is_in_the_error_file_with_its_status(work: BatchWork) -> None:
    batch = work.begun(chats(2))
    work.end(batch["id"], [2], JobStatus.FAILED)
    work.end(batch["id"], [1])
    done = work.read(batch["id"])
    assert (done["status"], done["request_counts"]["failed"]) == ("completed", 1)
    (line,) = work.lines(done["error_file_id"])
    assert (line["custom_id"], line["error"], line["response"]["status_code"]) == ("line-2", None, 500)
    assert line["response"]["body"]["error"]["code"] == "engine_error"
    assert [line["custom_id"] for line in work.lines(done["output_file_id"])] == ["line-1"]


def test_invalid_line_is_named_with_its_number_and_nothing_runs(work: BatchWork) -> None:
    batch = work.begun([chat_line(1), chat_line(2, body={"model": "smollm2"}), chat_line(3)])
    assert (batch["status"], batch["output_file_id"], batch["error_file_id"]) == ("failed", None, None)
    (error,) = batch["errors"]["data"]
    assert (error["line"], error["param"]) == (2, "body.messages")
    assert batch["errors"]["object"] == "list"


def test_invalid_line_that_is_skipped_is_in_the_error_file(work: BatchWork) -> None:
    lines = [chat_line(1), chat_line(2, body={"model": "smollm2"}), chat_line(3)]
    batch = work.begun(lines, on_invalid_line="skip")
    assert batch["request_counts"] == {"total": 3, "completed": 0, "failed": 1}
    (line,) = work.lines(batch["error_file_id"])
    assert (line["custom_id"], line["response"]["status_code"]) == ("line-2", 400)
    error = line["response"]["body"]["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "missing_required_parameter")
    work.end(batch["id"], [3, 1])
    assert work.read(batch["id"])["status"] == "completed"


def test_cancelled_batch_keeps_what_had_finished_and_tells_of_the_rest(work: BatchWork) -> None:
    batch = work.begun(chats(3))
    work.end(batch["id"], [2])
    assert work.post(f"/v1/batches/{batch['id']}/cancel")["status"] == "cancelling"
    assert work.post(f"/v1/batches/{batch['id']}/cancel")["status"] == "cancelling"
    work.end(batch["id"], [])
    done = work.post(f"/v1/batches/{batch['id']}/cancel")
    assert done["status"] == "cancelled"
    assert [line["custom_id"] for line in work.lines(done["output_file_id"])] == ["line-2"]
    for line in work.lines(done["error_file_id"]):
        assert (line["response"], line["error"]["code"]) == (None, "batch_cancelled")
    assert len(work.lines(done["error_file_id"])) == 2


def test_completed_batch_can_not_be_cancelled(work: BatchWork) -> None:
    batch = work.begun(chats(1))
    work.end(batch["id"], [1])
    refused = work.http.post(f"/v1/batches/{batch['id']}/cancel")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "batch_already_ended"
    assert refused.headers["x-should-retry"] == "false"


def test_retry_runs_the_unanswered_lines_as_a_new_batch(work: BatchWork) -> None:
    batch = work.begun(chats(3))
    early = work.http.post(f"/v1/batches/{batch['id']}/retry")
    assert (early.status_code, early.json()["error"]["code"]) == (409, "batch_still_running")
    work.end(batch["id"], [1, 3])
    work.end(batch["id"], [2], JobStatus.FAILED)
    again = work.post(f"/v1/batches/{batch['id']}/retry")
    assert (again["retry_of"], again["status"]) == (batch["id"], "validating")
    batch_validation.validate_waiting()
    work.end(again["id"], [2])
    done = work.read(again["id"])
    assert (done["status"], done["request_counts"]["total"]) == ("completed", 1)
    assert [line["custom_id"] for line in work.lines(done["output_file_id"])] == ["line-2"]


def test_list_pages_newest_first(work: BatchWork) -> None:
    file_id = work.upload(jsonl(chats(1)))
    wanted = {"input_file_id": file_id, "endpoint": CHAT, "completion_window": "24h"}
    ids = [work.post("/v1/batches", wanted)["id"] for _ in range(3)][::-1]
    page = work.http.get("/v1/batches", params={"limit": 2}).json()
    assert ([batch["id"] for batch in page["data"]], page["has_more"]) == (ids[:2], True)
    assert (page["first_id"], page["last_id"]) == (ids[0], ids[1])
    page = work.http.get("/v1/batches", params={"limit": 2, "after": page["last_id"]}).json()
    assert ([batch["id"] for batch in page["data"]], page["has_more"]) == (ids[2:], False)
    wrong = work.http.get("/v1/batches", params={"after": "batch_nothing"})
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "after")


def test_batch_of_no_file_names_the_field(work: BatchWork) -> None:
    wanted = {"input_file_id": "file-nothing", "endpoint": CHAT, "completion_window": "24h"}
    for path in ("/v1/batches", "/v1/batches/estimate"):
        refused = work.http.post(path, json=wanted)
        assert (refused.status_code, refused.json()["error"]["param"]) == (404, "input_file_id")


def test_batch_of_a_batchs_output_is_refused(work: BatchWork) -> None:
    batch = work.begun(chats(1))
    wanted = {"input_file_id": batch["output_file_id"], "endpoint": CHAT, "completion_window": "24h"}
    refused = work.http.post("/v1/batches", json=wanted)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "input_file_id")


def test_anothers_batch_and_its_files_are_not_there(work: BatchWork) -> None:
    batch = work.begun(chats(1))
    work.end(batch["id"], [1])
    own = work.http.headers["Authorization"]
    other = keys.create_key(projects.create_project("neighbour").id, "other").secret
    work.http.headers["Authorization"] = f"Bearer {other}"
    wanted = {
        "input_file_id": batch["input_file_id"],
        "endpoint": CHAT,
        "completion_window": "24h",
    }
    answers = [
        work.http.get(f"/v1/batches/{batch['id']}"),
        work.http.post(f"/v1/batches/{batch['id']}/cancel"),
        work.http.post(f"/v1/batches/{batch['id']}/retry"),
        work.http.get(f"/v1/files/{batch['output_file_id']}/content"),
        work.http.post("/v1/batches", json=wanted),
        work.http.post("/v1/batches/estimate", json=wanted),
    ]
    work.http.headers["Authorization"] = own
    assert [answer.status_code for answer in answers] == [404] * 6


def estimated(work: BatchWork, lines: list[Any], **options: Any) -> dict[str, Any]:
    wanted = {"input_file_id": work.upload(jsonl(lines)), "endpoint": CHAT, **options}
    return work.post("/v1/batches/estimate", wanted)


def test_estimate_counts_what_the_batch_will_count(work: BatchWork) -> None:
    estimate = estimated(work, chats(5))
    assert estimate["request_counts"] == {"total": 5, "valid": 5, "invalid": 0}
    assert estimate["max_output_tokens"] == 20
    assert (estimate["available_usd"], estimate["within_budget"]) == (None, True)
    assert (estimate["expected_finish_at"], estimate["within_window"]) == (None, None)
    assert work.http.get("/v1/batches").json()["data"] == []
    batch = work.begun(chats(5))
    work.end(batch["id"], [1, 2, 3, 4, 5])
    done = work.read(batch["id"])
    assert done["usage"]["input_tokens"] == estimate["input_tokens"]
    least, most = (Decimal(estimate["cost_usd"][bound]) for bound in ("min", "max"))
    assert least < Decimal(done["cost_usd"]) < most


def test_estimate_lists_faults_and_counts_the_rest(work: BatchWork) -> None:
    estimate = estimated(work, [chat_line(1), chat_line(2, url="/v1/embeddings"), chat_line(1)])
    assert estimate["request_counts"] == {"total": 3, "valid": 1, "invalid": 2}
    faults = [(error["line"], error["param"]) for error in estimate["errors"]["data"]]
    assert faults == [(2, "url"), (3, "custom_id")]
    assert estimate["max_output_tokens"] == 4


def test_estimate_tells_when_the_budget_is_too_small(work: BatchWork) -> None:
    small = projects.create_project("small", Decimal("0.000001"))
    work.http.headers["Authorization"] = f"Bearer {keys.create_key(small.id, 'small').secret}"
    estimate = estimated(work, chats(5))
    assert (estimate["available_usd"], estimate["within_budget"]) == ("0.000001", False)


def test_estimate_expects_the_end_by_the_measured_rate_and_what_waits(work: BatchWork) -> None:
    batch = work.begun(chats(20))
    work.started(batch["id"])
    work.end(batch["id"], range(1, 11))
    waiting = estimated(work, chats(5))
    work.end(batch["id"], range(11, 21))
    alone = estimated(work, chats(5))
    assert waiting["within_window"] is alone["within_window"] is True
    assert alone["expected_finish_at"] is not None


def test_more_waiting_means_a_later_end() -> None:
    rate = Throughput(tokens_per_second=10, output_share=0.5, waiting_tokens=100)
    assert rate.seconds_for(prompt_tokens=50, most_output_tokens=100) == 20

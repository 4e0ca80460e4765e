"""Batches over HTTP whose lines end when the test says so."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
from sqlalchemy import func, select, update

from tasks import batch_ending, batch_validation, jobs
from tasks.db import transaction
from tasks.models import Job, JobStatus
from tests.integration.tasks.conftest import MODEL

CHAT = "/v1/chat/completions"


def chat_line(number: int, **changes: Any) -> dict[str, Any]:
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"Question {number}"}],
        "max_tokens": 4,
    }
    line = {"custom_id": f"line-{number}", "method": "POST", "url": CHAT, "body": body}
    return {**line, **changes}


def jsonl(lines: Iterable[object]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


class BatchWork:
    """A client, and the hands of scheduler and workers."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def upload(self, content: bytes) -> str:
        form = {"file": ("lines.jsonl", content)}
        answer = self.http.post("/v1/files", data={"purpose": "batch"}, files=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    def post(self, path: str, body: object = None) -> dict[str, Any]:
        answer = self.http.post(path, json=body) if body is not None else self.http.post(path)
        assert answer.status_code == 200, answer.text
        value: dict[str, Any] = answer.json()
        return value

    def create(self, lines: Iterable[object], **options: Any) -> dict[str, Any]:
        wanted = {"input_file_id": self.upload(jsonl(lines)), "endpoint": CHAT, "completion_window": "24h"}
        return self.post("/v1/batches", wanted | options)

    def begun(self, lines: Iterable[object], **options: Any) -> dict[str, Any]:
        """A batch that has been validated."""
        batch = self.create(lines, **options)
        batch_validation.validate_waiting()
        return self.read(batch["id"])

    def read(self, batch_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/v1/batches/{batch_id}")
        assert answer.status_code == 200, answer.text
        value: dict[str, Any] = answer.json()
        return value

    def started(self, batch_id: str) -> None:
        """As if workers had begun all lines a moment ago."""
        with transaction() as connection:
            connection.execute(update(Job).where(Job.batch_id == batch_id).values(started_at=func.now()))

    def end(
        self,
        batch_id: str,
        numbers: Sequence[int],
        status: JobStatus = JobStatus.COMPLETED,
        text: str = "Yes.",
    ) -> None:
        """As workers do, in this order."""
        for number in numbers:
            with transaction() as connection:
                query = select(Job.id, Job.prompt_tokens).where(
                    Job.batch_id == batch_id, Job.line_number == number
                )
                row = connection.execute(query).one()
            done = {
                "output_text": text,
                "output_token_ids": [1, 2],
                "finish_reason": "stop",
                "prompt_tokens": row.prompt_tokens,
                "completion_tokens": 2,
            }
            failed = {"error_code": "engine_error", "error_message": "It broke."}
            fields: dict[str, Any] = done if status is JobStatus.COMPLETED else failed
            with transaction() as connection:
                jobs.end(connection, [jobs.Ending(job_id=row.id, attempt=0, status=status, **fields)])
        batch_ending.end_due()

    def content(self, file_id: str, **headers: str) -> httpx.Response:
        return self.http.get(f"/v1/files/{file_id}/content", headers=headers)

    def lines(self, file_id: str) -> list[dict[str, Any]]:
        answer = self.content(file_id)
        assert answer.status_code == 200, answer.text
        return [json.loads(line) for line in answer.content.splitlines()]

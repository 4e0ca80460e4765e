"""A platform that runs, whatever way, and a client of it."""

import threading
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.services.running import RunningPlatform


class LiveServer(ABC):
    """What tests know of the platform that they talk to."""

    def __init__(self, url: str, key: str, data_dir: Path) -> None:
        self.url = url
        self.key = key
        self.data_dir = data_dir
        self.http = self.client(key)

    @property
    @abstractmethod
    def log(self) -> str:
        """All that it has logged."""

    @property
    @abstractmethod
    def database_url(self) -> str: ...

    @abstractmethod
    def web_processes(self) -> list[psutil.Process]:
        """Those that read requests."""

    def client(self, key: str) -> httpx.Client:
        authorization = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.url, headers=authorization, timeout=90, trust_env=False)

    def submit(self, **fields: Any) -> dict[str, Any]:
        body = {"model": "smollm2", "temperature": 0, **fields}
        body.setdefault("type", "completion" if "prompt" in body else "chat")
        response = self.http.post("/v1/jobs", json=body)
        assert response.status_code == 202, response.text
        job: dict[str, Any] = response.json()
        return job

    def job(self, job_id: str, wait: float = 0) -> dict[str, Any]:
        response = self.http.get(f"/v1/jobs/{job_id}", params={"wait": wait})
        assert response.status_code == 200, response.text
        job: dict[str, Any] = response.json()
        return job

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job once it has ended, on a machine that may be busy."""
        for _ in range(3):
            job = self.job(job_id, wait=50)
            if job["status"] not in {"queued", "in_progress"}:
                break
        return job

    def until(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """The job once it has one of these statuses."""
        pause = threading.Event()
        for _ in range(2400):
            job = self.job(job_id)
            if job["status"] in statuses:
                return job
            pause.wait(0.05)
        raise AssertionError(f"never {statuses}: {job}")

    def close(self) -> None:
        self.http.close()


class ProcessesServer(LiveServer):
    """The processes of `make services`, started by somebody else."""

    def __init__(self, running: RunningPlatform) -> None:
        super().__init__(running.url, running.api_key, running.data_dir)
        self._running = running

    @property
    def log(self) -> str:
        return "\n".join(file.read_text() for file in sorted(self._running.logs.glob("*.log")))

    @property
    def database_url(self) -> str:
        return self._running.database_url

    def web_processes(self) -> list[psutil.Process]:
        return self._running.web_processes()

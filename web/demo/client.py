"""The demo's client: plain HTTP, nothing that any other client could not do."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

_WAIT_SECONDS = 0.5


class DemoClient:
    """Talks to a server that this machine has just started."""

    def __init__(self, url: str, key: str) -> None:
        # A proxy in the environment knows nothing of a port that was picked a moment ago.
        self._http = httpx.Client(
            base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def missing(self) -> list[str]:
        """What the platform still waits for; empty when it is ready."""
        try:
            response = self._http.get("/readyz")
        except httpx.TransportError:
            return ["server"]
        missing: list[str] = response.json()["not_ready"]
        return missing

    def submit(self, job: Mapping[str, Any]) -> str:
        """The id of the accepted job."""
        job_id: str = self._checked(self._http.post("/v1/jobs", json=job))["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """The job, when it ends or as it stands in half a second."""
        return self._checked(self._http.get(f"/v1/jobs/{job_id}", params={"wait": _WAIT_SECONDS}))

    def _checked(self, response: httpx.Response) -> dict[str, Any]:
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body

"""An application whose callers are who they say, and jobs that need no database."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tasks import circuit, keys, redis_client
from tasks.errors import AuthenticationFailed
from tasks.job import JobRecord
from tasks.keys import Principal
from tasks.limit_counters import counters
from tasks.models import JobStatus
from tasks.settings import settings
from web.app import create_app

KEY = "tm-valid"
AUTHORIZED = {"Authorization": f"Bearer {KEY}"}

Configure = Callable[..., None]
MakeApp = Callable[..., Flask]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Set settings by their names; they are back to their defaults afterwards."""

    def set_all(**values: object) -> None:
        for name, value in values.items():
            variable = name.upper() if name == "redis_url" else f"TOKENMILL_{name.upper()}"
            monkeypatch.setenv(variable, str(value))
        forget()

    def forget() -> None:
        settings.cache_clear()
        counters.cache_clear()
        redis_client.client.cache_clear()
        circuit.forget()

    forget()
    yield set_all
    monkeypatch.undo()
    forget()


@pytest.fixture
def make_app(configure: Configure, monkeypatch: pytest.MonkeyPatch) -> MakeApp:
    def authenticate(token: str) -> Principal:
        if token.startswith(KEY):
            return Principal(project_id="proj_1", api_key_id=f"key_{token}")
        raise AuthenticationFailed

    monkeypatch.setattr(keys, "authenticate", authenticate)

    def make(**values: object) -> Flask:
        configure(**values)
        return create_app()

    return make


@pytest.fixture
def client(make_app: MakeApp) -> FlaskClient:
    return make_app().test_client()


@pytest.fixture
def make_job() -> Callable[..., JobRecord]:
    def make(**changes: Any) -> JobRecord:
        moment = datetime(2026, 1, 2, tzinfo=UTC)
        values: dict[str, Any] = {
            "id": "job_1",
            "project_id": "proj_1",
            "type": "chat",
            "endpoint": "/v1/jobs",
            "service_tier": "default",
            "stored": True,
            "model": "smollm2-135m-instruct",
            "status": JobStatus.QUEUED,
            "metadata": {},
            "prompt_tokens": 5,
            "max_tokens": 8,
            "created_at": moment,
            "expires_at": moment,
            "attempt": 0,
            "queue_position": 1,
        }
        optional = dict.fromkeys(JobRecord.__slots__)
        return JobRecord(**{**optional, **values, **changes})

    return make

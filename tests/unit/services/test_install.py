import shutil
import subprocess
from pathlib import Path

import pytest

from tests.services import install as installing
from tests.services import rabbitmq, redis
from tests.services.errors import ServiceMissing


def test_without_apt_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ServiceMissing, match=r"sudo apt-get install redis-server\), or set REDIS_URL"):
        installing.install("redis-server", variable="REDIS_URL")


def test_without_root_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        subprocess, "run", lambda command, **options: subprocess.CompletedProcess(command, returncode=1)
    )
    with pytest.raises(ServiceMissing, match="no right to run it"):
        installing.install("rabbitmq-server", variable="BROKER_URL")


def test_failed_installation_shows_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda command, **options: subprocess.CompletedProcess(command, 100, stdout="E: Unable to locate"),
    )
    with pytest.raises(ServiceMissing, match="E: Unable to locate"):
        installing.install("rabbitmq-server", variable="BROKER_URL")


def test_missing_program_is_installed_then_found(monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[str] = []
    monkeypatch.setattr(redis, "install", lambda package, variable: installed.append(package))
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/redis-server" if installed else None)
    assert redis.ensure_installed() == Path("/usr/bin/redis-server")
    assert installed == ["redis-server"]


@pytest.mark.parametrize("answering", ["amqp://configured", rabbitmq.USUAL_URL, None])
def test_configured_broker_comes_before_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, answering: str | None
) -> None:
    monkeypatch.setattr(rabbitmq, "answers", lambda url: url == answering)
    assert rabbitmq.running_url("amqp://configured") == answering


def test_broker_in_memory_is_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rabbitmq, "answers", lambda url: url != rabbitmq.USUAL_URL)
    assert rabbitmq.running_url("memory://") is None

"""The folder in which a server's processes count."""

import os
from pathlib import Path

import pytest

from tasks.metrics import instruments
from tasks.metrics.families.web import STREAMS_OPEN
from tests.unit.tasks.metrics.isolation import isolated
from web.shared_metrics import shared_metrics

__all__ = ["isolated"]

pytestmark = pytest.mark.usefixtures("isolated")


@pytest.fixture(autouse=True)
def temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def folders(parent: Path) -> list[Path]:
    return list(parent.glob("tokenmill-metrics-*"))


def test_folder_is_private_and_goes_with_the_server(temporary_files: Path) -> None:
    with shared_metrics() as hooks:
        (folder,) = folders(temporary_files)
        assert folder.stat().st_mode & 0o777 == 0o700
        instruments.gauge(STREAMS_OPEN).inc()
        assert list(folder.iterdir())
        assert set(hooks) == {"child_exit"}
    assert folders(temporary_files) == []


def test_folder_outlives_a_process_of_the_server(
    temporary_files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as in_child, shared_metrics():
        in_child.setattr(os, "getpid", lambda: 1)
    assert len(folders(temporary_files)) == 1

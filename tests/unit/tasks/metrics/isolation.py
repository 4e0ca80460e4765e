"""Instruments of a test's own: those of the process are as they were afterwards."""

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, values

from tasks.metrics import instruments


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "")
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    monkeypatch.setattr(instruments, "_made", {})
    monkeypatch.setattr(instruments, "_registry", CollectorRegistry())
    monkeypatch.setattr(instruments, "_folder", None)
    yield
    values.close_all_multiprocess_files()

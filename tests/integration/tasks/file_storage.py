"""Storage of a test's own: a folder, or memory."""

from pathlib import Path

import fsspec
import pytest

from tasks.settings import settings
from tasks.storage import storage


class Place:
    """Where the test's files lie."""

    def __init__(self, url: str) -> None:
        self._filesystem, self._root = fsspec.core.url_to_fs(url)

    def held(self) -> set[str]:
        found = self._filesystem.find(self._root)
        return {Path(path).name for path in found}


def use_storage(url: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("TOKENMILL_STORAGE_URL", url)
    settings.cache_clear()
    storage.cache_clear()
    return Place(url)

"""Settings that a test may change for itself."""

from collections.abc import Callable, Iterator

import pytest

from tasks.settings import settings

Configure = Callable[..., None]


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch) -> Iterator[Configure]:
    """Set settings by their names; they are back to their defaults afterwards."""

    def set_all(**values: object) -> None:
        for name, value in values.items():
            monkeypatch.setenv(f"TOKENMILL_{name.upper()}", str(value))
        settings.cache_clear()

    settings.cache_clear()
    yield set_all
    monkeypatch.undo()
    settings.cache_clear()

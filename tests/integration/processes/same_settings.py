"""Calling the platform's own functions on the database and broker of its processes."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest import mock

from tasks import db, known_keys, price_book
from tasks.settings import settings
from tasks.storage import storage

SERVICES = ("DATABASE_URL", "BROKER_URL")


@contextmanager
def same_settings(environment: Mapping[str, str]) -> Iterator[None]:
    """This process has the settings of a process with ``environment`` for a while."""
    settings_of_it = {
        name: value
        for name, value in environment.items()
        if name in SERVICES or name.startswith("TOKENMILL_")
    }
    with mock.patch.dict(os.environ, settings_of_it):
        _forget()
        try:
            yield
        finally:
            db.engine().dispose()
    _forget()


def _forget() -> None:
    settings.cache_clear()
    storage.cache_clear()
    db.engine.cache_clear()
    known_keys._cache.clear()
    price_book._cache.clear()
    price_book._synced.clear()

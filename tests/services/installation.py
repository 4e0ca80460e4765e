"""What an installation needs before its processes start: a schema, a project, keys."""

import os
from collections.abc import Mapping
from pathlib import Path

from tasks import db, keys, migrate, projects
from tasks.receipts import signing
from tasks.settings import settings

PROJECT = "services"


def install(environment: Mapping[str, str]) -> str:
    """Prepare the database that the settings name; returns a new API key. This process keeps the settings."""
    os.environ.update(environment)
    settings.cache_clear()
    settings().data_dir.mkdir(parents=True, exist_ok=True)
    signing.new_key_file(Path(environment["TOKENMILL_RECEIPT_KEY"]))
    migrate.upgrade(settings().database_url)
    try:
        project = projects.find_or_create_project(PROJECT)
        return keys.create_key(project.id, "made at a start").secret
    finally:
        db.engine().dispose()

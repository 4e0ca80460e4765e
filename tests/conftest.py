"""Fixtures for every test, and the marks that follow from what a test uses."""

from pathlib import Path

import pytest

pytest_plugins = ["tests.services.fixtures"]

SERVICE_FIXTURES = {"rabbitmq", "private_rabbitmq", "redis_url", "private_redis"}
TESTS = Path(__file__).parent
FOLDER_MARKS = {
    TESTS / "integration" / "inference": "model",
    # They start the whole platform, model and all.
    TESTS / "acceptance": "slow",
    TESTS / "chaos": "slow",
}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SERVICE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.services)
        for folder, mark in FOLDER_MARKS.items():
            if item.path.is_relative_to(folder):
                item.add_marker(mark)

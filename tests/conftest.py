"""Fixtures for every test, and the marks that follow from what a test uses."""

import signal
from pathlib import Path

import pytest

pytest_plugins = ["tests.services.fixtures"]

SERVICE_FIXTURES = {"rabbitmq", "private_rabbitmq", "redis_url", "private_redis"}
LIVE_SERVER = "live_server"
TESTS = Path(__file__).parent
FOLDER_MARKS = {
    TESTS / "integration" / "inference": "model",
    # They start the whole platform, model and all.
    TESTS / "acceptance": "slow",
    TESTS / "chaos": "slow",
}


def pytest_configure() -> None:
    # A shell's background jobs ignore Ctrl-C, and so would every process that a test interrupts.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        used = frozenset(getattr(item, "fixturenames", ()))
        item.add_marker(pytest.mark.xdist_group(_group(item, used)))
        if SERVICE_FIXTURES & used:
            item.add_marker(pytest.mark.services)
        for folder, mark in FOLDER_MARKS.items():
            if item.path.is_relative_to(folder):
                item.add_marker(mark)


def _group(item: pytest.Item, used: frozenset[str]) -> str:
    """Tests of a group run in one process: those of a file, and all that share the live server."""
    return LIVE_SERVER if LIVE_SERVER in used else str(item.path.relative_to(TESTS))

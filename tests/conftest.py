"""Fixtures for every test, and the marks that follow from what a test uses."""

import signal
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

pytest_plugins = ["tests.services.fixtures"]

SERVICE_FIXTURES = {"rabbitmq", "private_rabbitmq", "redis_url", "private_redis", "promtool"}
WITH_THEIR_OWN_SERVER = {"test_demo.py", "test_embedded.py", "test_schemathesis.py"}
TESTS = Path(__file__).parent
# What takes longest goes first, so that no process is left with minutes of it at the end.
LONGEST_FIRST = (
    "chaos",
    "integration/processes/test_workers.py",
    "acceptance/test_sdk",
    "integration/processes",
    "acceptance/test_embedded.py",
    "acceptance",
    "integration/bench",
    "integration/inference",
    "integration",
)
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
        if SERVICE_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.services)
        for folder, mark in FOLDER_MARKS.items():
            if item.path.is_relative_to(folder):
                item.add_marker(mark)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    path = item.path.relative_to(TESTS).as_posix()
    known = (place for place, start in enumerate(LONGEST_FIRST) if path.startswith(start))
    return next(known, len(LONGEST_FIRST))


class ByServer(LoadScopeScheduling):
    """Tests of a file run in one process, and so do all files whose tests share the live server.

    They begin in the order in which they were collected.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        folder, _, name = file.rpartition("/")
        return folder if folder.endswith("acceptance") and name not in WITH_THEIR_OWN_SERVER else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByServer:
    config.option.loadscopereorder = False
    return ByServer(config, log)

"""Money for the run's tenants, never much: it grows as fast as a part of what they ask."""

import itertools
import threading
from decimal import Decimal

from tasks import budgets, corrections, keys, projects
from tasks.budget_subject import Subject, SubjectKind
from tasks.errors import DatabaseUnavailable
from tests.chaos.load import Tenants
from tests.chaos.record import Tenant

_EVERY_SECONDS = 2.0
_PORTION_USD = Decimal("0.004")


def make_tenants() -> Tenants:
    """Projects and keys, the poor ones with their first portion."""
    roomy, prepaid, capped, stranger = map(_make, ("roomy", "prepaid", "capped", "stranger"))
    budgets.set_prepaid(prepaid.project_id, True)
    tenants = Tenants(roomy, prepaid, capped, stranger)
    _pay(tenants, 1)
    return tenants


def _make(name: str) -> Tenant:
    project = projects.create_project(name)
    return Tenant(name, project.id, keys.create_key(project.id, "chaos").secret)


class Treasury:
    """A thread that grants and raises, also while the database comes and goes."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-treasury", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        portions = itertools.count(2)
        portion = next(portions)
        while not self._stopping.wait(_EVERY_SECONDS):
            try:
                _pay(self._tenants, portion)
            except DatabaseUnavailable:
                # The same again, and under the same key: it may have been written.
                continue
            portion = next(portions)


def _pay(tenants: Tenants, portion: int) -> None:
    corrections.grant(tenants.prepaid.project_id, _PORTION_USD, key=f"portion-{portion}", reason="chaos")
    hard_usd = _PORTION_USD * portion
    budgets.set_budget(
        Subject(SubjectKind.PROJECT, tenants.capped.project_id), hard_usd=hard_usd, soft_usd=None
    )

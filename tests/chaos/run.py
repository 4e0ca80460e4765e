"""A run from its seed to its findings."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from tests.chaos import treasury
from tests.chaos.batch_checks import check_batches
from tests.chaos.books import Books
from tests.chaos.breach import Breach
from tests.chaos.checks import check_all_rows, check_files, check_jobs, check_strangers
from tests.chaos.client import Client, GaveUp
from tests.chaos.faults import Faults
from tests.chaos.load import Load, Tenants
from tests.chaos.logbook import errors
from tests.chaos.plan import Fault, draw_plan
from tests.chaos.platform import platform_on
from tests.chaos.processes import Processes
from tests.chaos.quiet import Quiet, wait_for_quiet
from tests.chaos.record import Record
from tests.chaos.report import Findings
from tests.chaos.services import Services
from tests.chaos.watch import Watch
from tests.integration.processes.same_settings import same_settings
from tests.services.platform import Platform

_QUIET_SECONDS = 120.0


class Progress(Protocol):
    """Told how a run goes."""

    def phase(self, name: str) -> None: ...
    def fault(self, number: int, fault: Fault) -> None: ...


class Run:
    """One use: ``findings`` starts everything, breaks it and looks at what is left."""

    def __init__(self, folder: Path, *, seed: int, faults: int, progress: Progress) -> None:
        self._folder = folder
        self._seed = seed
        self._plan = draw_plan(seed, faults)
        self._progress = progress
        self._record = Record()

    def findings(self) -> Findings:
        began = time.monotonic()
        self._progress.phase("starting two of each")
        with ExitStack() as stack:
            services = stack.enter_context(Services(self._folder))
            platform = stack.enter_context(platform_on(services, self._folder))
            own = {"DATABASE_URL": services.own_database_url, "BROKER_URL": services.own_broker_url}
            stack.enter_context(same_settings(platform.environment | own))
            books = Books(services.own_database_url)
            books.watch_ended()
            tenants = treasury.make_tenants()
            processes = stack.enter_context(Processes(platform))
            watch = Watch(services.own_database_url, self._record)
            self._break(services, processes, tenants, watch)
            self._progress.phase("waiting for quiet")
            quiet = wait_for_quiet(services.own_database_url, _QUIET_SECONDS)
            watch.stop()
            self._progress.phase("checking what was promised")
            breaches = list(self._breaches(platform, processes, tenants, books, quiet))
            return Findings(
                seed=self._seed,
                faults=Counter(fault.kind.value for fault in self._plan),
                record=self._record,
                breaches=breaches,
                jobs=len(books.rows()),
                quiet_seconds=quiet.seconds,
                seconds=time.monotonic() - began,
                started_again=processes.started_again,
                looks=watch.looks,
                verifications=watch.verifications,
                log_errors=errors(self._folder.glob("*.log")),
                folder=self._folder,
            )

    def _break(self, services: Services, processes: Processes, tenants: Tenants, watch: Watch) -> None:
        """The load, and the faults one after the other; returns when both are over."""
        payer = treasury.Treasury(tenants)
        crowd = Load(tenants, processes.base_urls, self._record, self._seed)
        with Client("flood", tenants.roomy, processes.base_urls, self._record, seed=self._seed) as flooder:
            faults = Faults(services, processes, self._record, flooder, self._seed)
            watch.start()
            payer.start()
            crowd.start()
            try:
                for number, fault in enumerate(self._plan, start=1):
                    time.sleep(fault.after_seconds)
                    self._progress.fault(number, fault)
                    faults.begin(fault)
                self._progress.phase("letting the last faults pass")
                faults.wait()
            finally:
                crowd.stop()
                payer.stop()

    def _breaches(
        self, platform: Platform, processes: Processes, tenants: Tenants, books: Books, quiet: Quiet
    ) -> Iterator[Breach]:
        stories = self._record.jobs | self._record.batches
        for its_id, what in quiet.stuck:
            yield Breach("quiet", f"{its_id} after {quiet.seconds:.0f} s: {what}", stories.get(its_id))
        with ExitStack() as stack:
            clients = {
                tenant.name: stack.enter_context(
                    Client("final", tenant, processes.base_urls, self._record, seed=self._seed)
                )
                for tenant in (tenants.roomy, tenants.prepaid, tenants.capped, tenants.stranger)
            }
            rows = books.rows()
            try:
                yield from check_jobs(self._record, clients, rows)
                yield from check_batches(self._record, clients)
                yield from check_files(self._record, clients)
                yield from check_strangers(self._record, clients["stranger"])
            except GaveUp as error:
                yield Breach("quiet", f"nobody answers any more: {error}")
        yield from check_all_rows(rows.values())
        yield from _books(platform, books, settled=not quiet.stuck)
        for wrong in self._record.wrongs:
            promise = next((name for name in ("I4", "I5", "I6") if f" {name}: " in wrong), "answers")
            yield Breach(promise, wrong)


def _books(platform: Platform, books: Books, *, settled: bool) -> Iterator[Breach]:
    for job_id, what in books.changed_after_the_end():
        yield Breach("I2", f"{job_id} had ended, and {what}")
    if settled and (held_usd := books.held_usd()):
        yield Breach("I5", f"{held_usd} USD are held, and nothing runs")
    try:
        platform.run("billing", "verify")
    except RuntimeError as error:
        yield Breach("I4", str(error))

"""Carrying out what a plan says, several things at a time."""

import random
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

from tests.chaos import load, messages
from tests.chaos.client import Client
from tests.chaos.plan import Fault, FaultKind
from tests.chaos.processes import Post, Processes
from tests.chaos.record import Record
from tests.chaos.services import Services
from tests.services.errors import ServiceError

_AT_ONCE = 6


class Faults:
    """Each fault has a thread for as long as it lasts; two of one target follow each other."""

    def __init__(
        self, services: Services, processes: Processes, record: Record, flooder: Client, seed: int
    ) -> None:
        self._services = services
        self._processes = processes
        self._record = record
        self._flooder = flooder
        self._dice = random.Random(f"faults {seed}")
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="chaos-fault")
        self._lasting: list[Future[None]] = []
        self._locks = {target: Lock() for target in (*services.servers, "queue")}

    def begin(self, fault: Fault) -> None:
        """Returns at once."""
        self._lasting.append(self._pool.submit(self._carry_out, fault))

    def wait(self) -> None:
        """Until all of them are over, and everything is as it was."""
        self._pool.shutdown(wait=True)
        for one in self._lasting:
            one.result()

    def _carry_out(self, fault: Fault) -> None:
        post = self._processes.posts.get(fault.target)
        with post.busy if post else self._locks[fault.target], self._record.happening(str(fault)):
            try:
                if post is None:
                    self._to_a_service(fault)
                else:
                    self._to_a_process(post, fault)
            except ServiceError as error:
                self._record.wrong(f"{fault}: {error}")
            except Exception:
                self._record.wrong(f"{fault} could not be carried out: {traceback.format_exc()}")

    def _to_a_process(self, post: Post, fault: Fault) -> None:
        does: dict[FaultKind, Callable[[], None]] = {
            FaultKind.KILL: post.kill,
            FaultKind.STOP: post.stop,
            FaultKind.FREEZE: lambda: post.freeze(fault.seconds),
        }
        does[fault.kind]()

    def _to_a_service(self, fault: Fault) -> None:
        services, target = self._services, fault.target
        does: dict[FaultKind, Callable[[], None]] = {
            FaultKind.RESTART: lambda: self._away(fault, services.servers[target].stop),
            FaultKind.CRASH: lambda: self._away(fault, services.servers[target].kill),
            FaultKind.RESET: lambda: services.lines[target].reset(),
            FaultKind.SWALLOW: lambda: services.lines[target].swallow(fault.seconds),
            FaultKind.STALL: lambda: services.lines[target].stall(fault.seconds),
            FaultKind.FLOOD: lambda: load.flood(self._flooder, self._dice),
            FaultKind.REPEAT: lambda: messages.repeat(
                services.own_database_url, self._record.job_ids(), self._dice
            ),
            FaultKind.PURGE: lambda: messages.purge(services.own_broker_url),
        }
        does[fault.kind]()

    def _away(self, fault: Fault, end: Callable[[], None]) -> None:
        try:
            end()
        finally:
            time.sleep(fault.seconds)
            self._services.servers[fault.target].start()

"""The mixed load: a thread for each client, doing one thing after another until told to stop."""

import random
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.chaos import batches, chats, jobs, strangers, streams
from tests.chaos.client import Client, GaveUp
from tests.chaos.record import Record, Tenant

Activity = Callable[[Client], None]

_MIXED: Sequence[tuple[int, Activity]] = (
    (4, jobs.submit_and_poll),
    (4, jobs.submit_and_wait),
    (2, jobs.submit_and_forget),
    (4, jobs.submit_and_cancel),
    (5, streams.submit_and_follow),
    (4, chats.chat),
    (4, chats.stream_chat),
    (2, chats.several_texts),
)
_BATCHES: Sequence[tuple[int, Activity]] = ((1, batches.run_batch),)
_PRYING: Sequence[tuple[int, Activity]] = ((1, strangers.pry),)


@dataclass(frozen=True, slots=True)
class Tenants:
    """One without a limit, one with prepaid credit, one with a monthly budget, and one who pries."""

    roomy: Tenant
    prepaid: Tenant
    capped: Tenant
    stranger: Tenant


class Load:
    """Clients of all tenants. ``stop`` returns when the last one has let go."""

    def __init__(self, tenants: Tenants, base_urls: list[str], record: Record, seed: int) -> None:
        self._stopping = threading.Event()
        self._record = record
        parts: list[tuple[str, Tenant, Sequence[tuple[int, Activity]]]] = [
            *((f"roomy-{number}", tenants.roomy, _MIXED) for number in range(4)),
            *((f"prepaid-{number}", tenants.prepaid, _MIXED) for number in range(2)),
            ("capped-0", tenants.capped, _MIXED),
            ("batches-roomy", tenants.roomy, _BATCHES),
            ("batches-prepaid", tenants.prepaid, _BATCHES),
            ("stranger-0", tenants.stranger, _PRYING),
        ]
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(Client(name, tenant, base_urls, record, seed=seed, stopping=self._stopping), does),
                name=f"chaos-{name}",
                daemon=True,
            )
            for name, tenant, does in parts
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, client: Client, does: Sequence[tuple[int, Activity]]) -> None:
        weights = [weight for weight, _ in does]
        with client:
            while not self._stopping.is_set():
                (_, activity), *_ = client.dice.choices(does, weights)
                try:
                    activity(client)
                except GaveUp:
                    client.record.answer("gave up")
                except Exception:
                    client.record.wrong(f"{client.name} could not go on: {traceback.format_exc()}")
                client.pause(0.0, 0.4)


def flood(client: Client, dice: random.Random) -> None:
    """Many small jobs at once."""
    for _ in range(dice.randint(40, 80)):
        try:
            jobs.submit_and_forget(client)
        except GaveUp:
            return

"""Looks at the books all the time: no limit is ever exceeded (I5), and they agree at any moment (I4)."""

import threading
import time

import psycopg2

from tasks.billing.period import Period
from tasks.billing.verify import verify
from tasks.errors import TokenmillError
from tests.chaos.record import Record

_LOOK_SECONDS = 0.2
_VERIFY_SECONDS = 5.0
_EXCEEDED = """
    SELECT 'project ' || project_id, held_usd + spent_usd, coalesce(limit_usd, granted_usd) FROM spend
    WHERE held_usd + spent_usd > limit_usd OR (prepaid AND held_usd + spent_usd > granted_usd)
    UNION ALL
    SELECT subject_kind || ' ' || subject_id, held_usd + spent_usd, hard_usd
    FROM budgets JOIN budget_months USING (subject_kind, subject_id)
    WHERE held_usd + spent_usd > hard_usd
"""


class Watch:
    """A thread that goes around the lines, so that it sees the database whenever that is there."""

    def __init__(self, database_url: str, record: Record) -> None:
        self._database_url = database_url
        self._record = record
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-watch", daemon=True)
        self.looks = 0
        self.verifications = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._watch()
            except psycopg2.Error:
                # Restarting, most likely; what else is wrong shows in how often it could look.
                self._stopping.wait(_LOOK_SECONDS)

    def _watch(self) -> None:
        """Until the connection breaks."""
        connection = psycopg2.connect(self._database_url)
        connection.autocommit = True
        verified_at = time.monotonic()
        try:
            with connection.cursor() as run:
                while not self._stopping.wait(_LOOK_SECONDS):
                    run.execute(_EXCEEDED)
                    for subject, gone, limit in run.fetchall():
                        self._record.wrong(f"I5: {subject} has {gone} USD held and spent of {limit}")
                    self.looks += 1
                    if time.monotonic() - verified_at > _VERIFY_SECONDS:
                        self._verify()
                        verified_at = time.monotonic()
        finally:
            connection.close()

    def _verify(self) -> None:
        try:
            found = verify(Period.always(), read_bodies=False)
        except TokenmillError:
            return
        if found.difference is not None:
            self._record.wrong(f"I4: {found.difference}")
        self.verifications += 1

"""What processes and the database use, measured every few seconds."""

import threading
import time
from collections import defaultdict
from collections.abc import Mapping

import psutil
import psycopg2

from tests.chaos.processes import Processes
from tests.chaos.trend import Point

_MIB = 1024 * 1024
_TABLES = """
    SELECT relname, n_live_tup, n_dead_tup, pg_total_relation_size(relid) FROM pg_stat_user_tables
    WHERE schemaname = 'public'
"""
_SESSIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"


class Samples:
    """A thread that measures. ``series`` has a name such as ``web-1 memory MiB`` for each."""

    def __init__(self, processes: Processes, database_url: str, every_seconds: float) -> None:
        self.series: defaultdict[str, list[Point]] = defaultdict(list)
        self._processes = processes
        self._database_url = database_url
        self._every_seconds = every_seconds
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="chaos-samples", daemon=True)
        self._began = time.monotonic()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._every_seconds):
            at = time.monotonic() - self._began
            for name, post in self._processes.posts.items():
                for what, value in _used_by(post.pid).items():
                    self.series[f"{name} {what}"].append((at, value))
            for what, value in self._database().items():
                self.series[what].append((at, value))

    def _database(self) -> Mapping[str, float]:
        found: dict[str, float] = {}
        connection = psycopg2.connect(self._database_url)
        try:
            with connection, connection.cursor() as run:
                run.execute(_SESSIONS)
                (sessions,) = run.fetchone() or (0,)
                found["database sessions"] = float(sessions)
                run.execute(_TABLES)
                for table, live, dead, size in run.fetchall():
                    found[f"{table} rows"] = float(live)
                    found[f"{table} dead rows"] = float(dead)
                    found[f"{table} MiB"] = size / _MIB
        finally:
            connection.close()
        return found


def _used_by(pid: int) -> Mapping[str, float]:
    """By a process and its children together."""
    used: defaultdict[str, float] = defaultdict(float)
    try:
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            with member.oneshot():
                used["memory MiB"] += member.memory_info().rss / _MIB
                used["open files"] += member.num_fds()
                used["threads"] += member.num_threads()
                used["connections"] += len(member.net_connections())
    except psutil.NoSuchProcess:
        return {}
    return used

"""The processes that hold a connection to the database, as Postgres itself lists them."""

import re
from dataclasses import dataclass

from sqlalchemy import Connection, text

from tasks.db import PROCESS_NAME

# Asks itself, or is gone in a moment.
_NOT_SHOWN = "command"
_MOST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStatus:
    """``quiet_seconds`` is the time since its last statement: of a web process, since its last request."""

    kind: str
    hostname: str
    process_id: int
    connections: int
    up_seconds: float
    quiet_seconds: float


def read_processes(connection: Connection) -> list[ProcessStatus]:
    """By kind, then the oldest first. One that has not yet needed the database is not known."""
    found = []
    for row in connection.execute(_CONNECTED, {"most": _MOST}):
        named = re.fullmatch(PROCESS_NAME, row.application_name)
        if named and named["kind"] != _NOT_SHOWN:
            found.append(
                ProcessStatus(
                    kind=named["kind"],
                    hostname=named["hostname"],
                    process_id=int(named["process_id"]),
                    connections=row.connections,
                    up_seconds=float(row.up_seconds),
                    quiet_seconds=float(row.quiet_seconds),
                )
            )
    return sorted(found, key=lambda one: (one.kind, -one.up_seconds))


_CONNECTED = text("""
    SELECT application_name, count(*) AS connections,
        extract(epoch FROM now() - min(backend_start)) AS up_seconds,
        greatest(extract(epoch FROM now() - max(state_change)), 0) AS quiet_seconds
    FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'tokenmill %'
    GROUP BY application_name
    ORDER BY application_name
    LIMIT :most
""")

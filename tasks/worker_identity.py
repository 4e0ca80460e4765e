"""A worker's presence in Postgres: its row with the lease, and a lock that dies with its connection."""

import os
import secrets
import socket
from datetime import timedelta

from sqlalchemy import Connection, create_engine, func, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tasks.db import connect_arguments, psycopg2_url, transaction
from tasks.ids import new_id
from tasks.models import Worker
from tasks.settings import settings


class WorkerIdentity:
    """Registers this process as a worker and keeps saying that it lives.

    The advisory lock sits on a connection of its own: when the process dies, however it dies, the
    operating system closes the connection and Postgres frees the lock at once.
    """

    def __init__(
        self,
        *,
        model: str,
        quantization: str,
        slots: int,
        device: str | None = None,
        system_fingerprint: str | None = None,
    ) -> None:
        self.id = new_id("worker")
        self.model = model
        self.system_fingerprint = system_fingerprint
        self.lock_key = secrets.randbits(62)
        self._description = {
            "model": model,
            "quantization": quantization,
            "slots": slots,
            "device": device,
        }
        self._engine = create_engine(
            psycopg2_url(settings().database_url), poolclass=NullPool, connect_args=connect_arguments()
        )
        self._lock_connection: Connection | None = None

    def register(self) -> None:
        """Take the lock, then announce. Raises DatabaseUnavailable or DBAPIError."""
        self._hold_lock()
        with transaction() as connection:
            connection.execute(
                insert(Worker).values(
                    id=self.id,
                    hostname=socket.gethostname(),
                    process_id=os.getpid(),
                    lock_key=self.lock_key,
                    lease_expires_at=self._lease_end(),
                    **self._description,
                )
            )

    def renew(self) -> None:
        """Say that we live; takes the lock again where its connection was lost."""
        self._hold_lock()
        with transaction(durable=False) as connection:
            connection.execute(
                update(Worker)
                .where(Worker.id == self.id)
                .values(last_seen_at=func.now(), lease_expires_at=self._lease_end(), stopped_at=None)
            )

    def withdraw(self) -> None:
        """Say that we are gone."""
        with transaction() as connection:
            connection.execute(update(Worker).where(Worker.id == self.id).values(stopped_at=func.now()))
        self._drop_lock()

    def _lease_end(self) -> object:
        return func.now() + timedelta(seconds=settings().lease_seconds)

    def _hold_lock(self) -> None:
        if self._lock_connection is not None:
            try:
                self._lock_connection.execute(select(1))
                return
            except DBAPIError:
                self._drop_lock()
        connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": self.lock_key})
        self._lock_connection = connection

    def _drop_lock(self) -> None:
        if self._lock_connection is not None:
            self._lock_connection.close()
            self._lock_connection = None

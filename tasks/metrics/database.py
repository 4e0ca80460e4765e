"""How the process's connections to Postgres stand."""

from sqlalchemy.pool import QueuePool

from tasks import db
from tasks.metrics import instruments
from tasks.metrics.families.everywhere import DATABASE_POOL_CONNECTIONS


def note_pool() -> None:
    """Count them as they are now."""
    if not db.engine.cache_info().currsize:
        # Nothing has needed the database yet, and nothing is to connect because of this.
        return
    pool = db.engine().pool
    if isinstance(pool, QueuePool):
        connections = instruments.gauge(DATABASE_POOL_CONNECTIONS)
        connections.labels("idle").set(pool.checkedin())
        connections.labels("in_use").set(pool.checkedout())

"""How Alembic reaches the database: one migrator at a time, and no waiting behind long transactions."""

from alembic import context
from sqlalchemy import Connection, text

from tasks.db import unpooled_engine
from tasks.models import Base
from tasks.settings import settings

# Two deployments may start at once; the second waits here and then finds nothing to do.
MIGRATION_LOCK = 7_270_010


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        compare_type=True,
        compare_server_default=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def online() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        run(given)
        return
    url = context.config.attributes.get("database_url") or settings().database_url
    with unpooled_engine(url).connect() as connection:
        connection.execute(text("SET lock_timeout = '30s'"))
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.commit()
        run(connection)


if context.is_offline_mode():
    context.configure(url=settings().database_url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    online()

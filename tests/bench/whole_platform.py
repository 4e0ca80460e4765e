"""What the benches of the whole platform share: its services, its load, and how ratios are told."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from tasks.migrate import upgrade
from tests.services import rabbitmq
from tests.services.platform import Platform
from tests.services.postgres import PostgresServer
from tests.services.rabbitmq import RabbitMQServer

MODEL = "smollm2-135m-instruct"
TOPICS = ("rivers", "violins", "bridges", "bees", "maps", "bread", "clouds", "chess")
CHATS = [
    [{"role": "user", "content": f"Write a few sentences about {topic}, part {part}."}]
    for part in range(8)
    for topic in TOPICS
]


@contextmanager
def whole_platform(folder: Path) -> Iterator[Platform]:
    """Postgres of its own with fsync, a running RabbitMQ or one of its own, and the platform on them."""
    folder.chmod(0o755)
    postgres = PostgresServer(folder / "postgres", durable=True)
    postgres.start()
    broker = None
    broker_url = rabbitmq.running_url(None)
    if broker_url is None:
        broker = RabbitMQServer(folder / "rabbitmq")
        broker.start()
        broker_url = broker.url
    database_url = postgres.create_database("bench")
    upgrade(database_url)
    prefix = f"bench-{datetime.now(UTC):%H%M%S}"
    try:
        with Platform(
            folder,
            database_url=database_url,
            broker_url=broker_url,
            queue_prefix=prefix,
            data_dir=folder / "data",
        ) as platform:
            platform.run("projects", "create", "bench")
            platform.use_key(platform.run("keys", "create", "--project", "bench").strip())
            yield platform
    finally:
        postgres.stop()
        if broker is not None:
            broker.stop()


def report(part: str, unit: str, baseline: str, base: list[float], ours: str, got: list[float]) -> None:
    ratios = [each / reference for each, reference in zip(got, base, strict=True)]
    print(f"{part}, {unit}")
    for name, values in ((baseline, base), (ours, got)):
        print(f"  {name}: median {statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})")
    print(f"  ratio: median {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")

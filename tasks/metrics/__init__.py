"""What a process tells of itself and of the platform, as Prometheus reads it."""

from tasks.metrics.families import ALL


def exported_names() -> frozenset[str]:
    """The name of every metric that some process exports, as its ``# TYPE`` line has it.

    A histogram's series are called so with ``_bucket``, ``_sum`` and ``_count`` at the end.
    """
    return frozenset(family.name for family in ALL)

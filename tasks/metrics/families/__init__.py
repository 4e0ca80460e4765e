"""Every metric there is, by the kind of process that exports it."""

from tasks.metrics.families import everywhere, scheduler, web, worker
from tasks.metrics.family import Family

ALL: tuple[Family, ...] = tuple(
    value
    for module in (everywhere, web, worker, scheduler)
    for value in vars(module).values()
    if isinstance(value, Family)
)

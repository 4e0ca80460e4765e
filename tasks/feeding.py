"""Which batch's lines go next, and how many are to wait at the workers. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# What a worker is to find waiting when it has room, in slices.
_SLICES_PER_WORKER = 2
# So much sooner than its deadline a batch is to be done.
_MARGIN = 1.25


@dataclass(frozen=True, slots=True)
class OpenBatch:
    """A batch with lines that wait to be fed. ``seconds_left`` is the time until it expires."""

    id: str
    project_id: str
    seconds_left: float
    unfinished: int


def window(workers: int, ended_lately: int, slice_lines: int) -> int:
    """How many lines are to wait in the queue so that no worker runs dry before the next round.

    ``ended_lately`` are the lines of the last few seconds. With no worker alive a little waits too, so
    that the queue's length calls for one.
    """
    return max(max(workers, 1) * _SLICES_PER_WORKER * slice_lines, ended_lately)


def next_batch(batches: Sequence[OpenBatch], flying: Mapping[str, int], lines_per_second: float) -> OpenBatch:
    """The batch whose turn it is: one that would miss its deadline, or else the project's with least.

    ``flying`` counts the lines of each project that are with the workers. Within a project the batch
    that expires first goes first.
    """
    in_danger = [batch for batch in batches if _is_in_danger(batch, lines_per_second)]
    if in_danger:
        return min(in_danger, key=_by_deadline)
    return min(batches, key=lambda batch: (flying.get(batch.project_id, 0), *_by_deadline(batch)))


def _is_in_danger(batch: OpenBatch, lines_per_second: float) -> bool:
    """Whether all there is to have of the machine is what it needs to be done in time."""
    return lines_per_second > 0 and batch.unfinished * _MARGIN > lines_per_second * batch.seconds_left


def _by_deadline(batch: OpenBatch) -> tuple[float, str]:
    return batch.seconds_left, batch.id

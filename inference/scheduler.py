"""Which tokens of which sequences the next step computes. No model in here."""

import heapq
import time
from collections.abc import Sequence as Items
from dataclasses import dataclass

from inference.arena import Lease
from inference.prefix_cache import PrefixCache
from inference.prefix_waiting import PrefixWaiting
from inference.sequence import Sequence

ROOM_TO_GROW = 64
"""Output tokens that a sequence gets space for when it is admitted, beyond those it has."""
SPARE_ENTRIES = 64
MOST_SCORED_TOKENS = 64
"""Tokens in a step of prompts whose log-probabilities are wanted: each yields a row of logits."""
MOST_SET_ASIDE = 64
"""Sequences that are set aside in one step to wait for their prefix, however many there are."""


@dataclass(frozen=True, slots=True)
class Work:
    """The next ``count`` tokens of ``sequence`` that are not computed yet."""

    sequence: Sequence
    lease: Lease
    count: int

    @property
    def samples(self) -> bool:
        """Whether the step yields this sequence's next token."""
        return self.count == self.sequence.pending and not self.sequence.output_ended


class Scheduler:
    """Admits waiting sequences into slots by rank (priority, then arrival) and shares out steps.

    Each sequence that decodes gets its token in every step; what is left of ``max_batch_tokens``
    goes to prompts, best rank first. A sequence that outranks others takes their slot or space when
    none is free; the displaced one keeps its tokens and its rank, and is computed again later, as
    far as it is not in the cache any more. A sequence whose prefix a better-ranked one is computing
    waits for that, out of the way of others.
    ``max_batch_tokens`` may change between steps.
    """

    def __init__(self, prefixes: PrefixCache, slots: int, max_batch_tokens: int) -> None:
        self._prefixes = prefixes
        self._slots = slots
        self.max_batch_tokens = max_batch_tokens
        self._queue: list[tuple[tuple[int, int], Sequence]] = []
        self._waiting: set[Sequence] = set()
        self._set_aside = PrefixWaiting()
        self.running: list[Sequence] = []
        self.preemptions = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether there is nothing to run and nothing waiting."""
        return not self.running and not self._waiting

    def all_sequences(self) -> list[Sequence]:
        return [*self.running, *self._waiting]

    def add(self, sequence: Sequence) -> None:
        self._waiting.add(sequence)
        heapq.heappush(self._queue, (sequence.rank, sequence))
        if len(self._queue) > 2 * len(self._waiting) + SPARE_ENTRIES:
            self._queue = [entry for entry in self._queue if entry[1] in self._waiting]
            heapq.heapify(self._queue)

    def discard(self, sequence: Sequence, *, keep: bool = True) -> None:
        """Take a sequence out, waiting or running, and free what it held.

        Without ``keep`` what it computed is not to be trusted, and nobody is to reuse it.
        """
        # Its entry in the queue stays until it comes up or such entries prevail: finding it now would
        # cost a search.
        self._waiting.discard(sequence)
        if sequence.lease is not None:
            self.running.remove(sequence)
            self._prefixes.release(sequence, keep=keep)
            self._resume_ready(sequence)

    def preempt(self, sequence: Sequence) -> None:
        """Take a running sequence's space; it waits with its tokens and its rank."""
        self.discard(sequence)
        sequence.computed = 0
        sequence.preempted = True
        self.preemptions += 1
        self.add(sequence)

    def schedule(self) -> list[Work]:
        """The work of the next step, single tokens first; empty when there is nothing to do."""
        self._grow_leases()
        self._admit()
        ranked = sorted(self.running, key=lambda sequence: sequence.rank)
        work = [_work(sequence, 1) for sequence in ranked if sequence.pending == 1]
        room = max(1, self.max_batch_tokens - len(work))
        scored_room = MOST_SCORED_TOKENS
        for sequence in ranked:
            scored = sequence.needs_every_prompt_token
            count = min(room, sequence.pending, scored_room if scored else room)
            if sequence.pending > 1 and count > 0:
                work.append(_work(sequence, count))
                room -= count
                scored_room -= count if scored else 0
        return work

    def note_computed(self, work: Items[Work]) -> None:
        """The keys and values of ``work`` are in the cache."""
        for item in work:
            sequence = item.sequence
            # One token that is sampled from shows by its logits whether it came out well.
            unproven = 0 if item.count == 1 and item.samples else item.count
            sequence.computed += item.count
            self._prefixes.note_computed(sequence, unproven)
            self._resume_ready(sequence)

    def _resume_ready(self, donor: Sequence) -> None:
        for sequence in self._set_aside.pop_ready(donor):
            if sequence in self._waiting:
                heapq.heappush(self._queue, (sequence.rank, sequence))

    def _admit(self) -> None:
        set_aside = 0
        while (head := self._head()) is not None and self._may_enter(head):
            awaited = self._prefixes.find_awaited(head)
            if awaited is not None and awaited.donor.rank < head.rank:
                if set_aside == MOST_SET_ASIDE:
                    return
                set_aside += 1
                heapq.heappop(self._queue)
                self._set_aside.add(head, awaited)
            elif self._make_space(head):
                heapq.heappop(self._queue)
                self._waiting.discard(head)
                self.running.append(head)
                if head.started_at is None:
                    head.started_at = time.monotonic()
            else:
                return

    def _head(self) -> Sequence | None:
        while self._queue and self._queue[0][1] not in self._waiting:
            heapq.heappop(self._queue)
        return self._queue[0][1] if self._queue else None

    def _may_enter(self, head: Sequence) -> bool:
        """Whether there is, or can be made, a slot, and room for its prompt in the next step.

        While prompts of better rank fill that there is no use in holding space.
        """
        ahead = sum(sequence.pending for sequence in self.running if sequence.rank < head.rank)
        return ahead < self.max_batch_tokens and (
            len(self.running) < self._slots or self._lesser_than(head) is not None
        )

    def _lesser_than(self, head: Sequence) -> Sequence | None:
        """Whom ``head`` displaces first."""
        last = max(self.running, key=lambda sequence: sequence.rank, default=None)
        return last if last is not None and last.request.priority < head.request.priority else None

    def _make_space(self, head: Sequence) -> bool:
        tokens = min(len(head.tokens) + ROOM_TO_GROW, head.final_length)
        while len(self.running) == self._slots or not self._prefixes.admit(head, tokens):
            last = self._lesser_than(head)
            if last is None:
                return False
            self.preempt(last)
        return True

    def _grow_leases(self) -> None:
        for sequence in sorted(self.running, key=lambda sequence: sequence.rank):
            while _is_outgrown(sequence):
                if not self._prefixes.grow(sequence, len(sequence.tokens)):
                    self.preempt(max(self.running, key=lambda other: other.rank))


def _is_outgrown(sequence: Sequence) -> bool:
    return sequence.lease is not None and sequence.lease.capacity < len(sequence.tokens) - sequence.offset


def _work(sequence: Sequence, count: int) -> Work:
    if sequence.lease is None:
        raise RuntimeError("a running sequence has no lease")
    return Work(sequence, sequence.lease, count)

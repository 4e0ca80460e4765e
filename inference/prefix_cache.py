"""The place in the cache of each running sequence, and what it takes over from others."""

from dataclasses import dataclass
from itertools import dropwhile, takewhile

from inference.arena import Arena, Lease
from inference.prefix_holding import Holding
from inference.prefix_segments import SegmentPool, TokenStore
from inference.prefix_tree import BLOCK_TOKENS, Piece, PrefixTree, Segment, collect_pieces
from inference.sequence import Sequence
from inference.spans import Span

SHARE_FROM = 256
"""Tokens. A shorter prefix is copied; a longer one is read where it is, by all that have it.

Measured on a CPU: from here on sharing makes attention faster for four rows or more (for 64 rows and
512 tokens 3.5 times), and it always saves the space. For one row alone it costs a tenth of a millisecond
per layer, whatever the length.
"""
SHARE_IN_STEPS_OF = 64
"""Tokens. What two prompts happen to have in common beyond the prefix of many is not to part them."""
COPY_WHOLE_UP_TO = 1024
"""Tokens. A segment that is continued, and by nobody else, is copied up to here and then given up."""
MOST_SPANS = 4


@dataclass(frozen=True, slots=True)
class Awaited:
    """``donor`` is about to compute what a sequence needs up to position ``until``."""

    donor: Sequence
    until: int


class PrefixCache:
    """Gives running sequences their leases, with as much in them as others have computed already.

    A block is known from the step that computes it, so that prompts are shared while they run; when
    its sequence has ended it stays until the space is needed. ``may_share`` is for models whose
    attention can be computed in parts; with others everything is copied. ``hit_tokens`` of
    ``lookup_tokens`` were there when they were asked for.
    """

    def __init__(
        self, arena: Arena, store: TokenStore, *, retained_limit: int | None = None, may_share: bool = True
    ) -> None:
        self.hit_tokens = 0
        self.lookup_tokens = 0
        self._store = store
        self._may_share = may_share
        self._tree = PrefixTree()
        limit = arena.capacity if retained_limit is None else retained_limit
        self.segments = SegmentPool(arena, store, self._tree, limit)
        self._holdings: dict[Sequence, Holding] = {}

    def forget(self) -> None:
        """Hold nothing more of what has ended, and count anew."""
        self.segments.evict_idle()
        self.segments.evictions = self.hit_tokens = self.lookup_tokens = 0

    def find_awaited(self, sequence: Sequence) -> Awaited | None:
        """The running sequence that is about to compute the next blocks of a waiting one; None if none is."""
        nodes = self._tree.find(sequence.tokens, _reusable(sequence))
        missing = list(dropwhile(lambda node: node.segment is not None, nodes))
        donor = missing[0].donor if missing else None
        if donor is None:
            return None
        promised = list(takewhile(lambda node: node.segment is None and node.donor is donor, missing))
        until = promised[-1].depth * BLOCK_TOKENS
        last = min(_reusable(sequence), len(donor.tokens))
        while until < last and donor.tokens[until] == sequence.tokens[until]:
            until += 1
        return Awaited(donor, until)

    def admit(self, sequence: Sequence, tokens: int) -> bool:
        """Give ``sequence`` a lease for ``tokens`` of it, and what is cached of it; False without space."""
        limit = _reusable(sequence)
        pieces = collect_pieces(sequence.tokens, limit, self._tree.find(sequence.tokens, limit))
        holding = self._hold(sequence, tokens, pieces)
        if holding is None and pieces:
            # What it would take over may be all that is in its way.
            holding = self._hold(sequence, tokens, [])
        if holding is None:
            return False
        self._holdings[sequence] = holding
        holding.promise()
        self.lookup_tokens += len(sequence.tokens)
        self.hit_tokens += sequence.computed
        if not sequence.preempted:
            sequence.cached_tokens = min(sequence.computed, sequence.prompt_length)
        return True

    def grow(self, sequence: Sequence, tokens: int) -> bool:
        """Move ``sequence`` to a lease for ``tokens`` of it; False without space."""
        holding = self._holdings[sequence]
        lease = self.segments.allocate(tokens - holding.own.offset)
        if lease is None:
            return False
        if holding.own.users == 1:
            self.segments.relocate(holding.own, lease)
        else:
            self._leave_to_readers(holding, lease)
        sequence.lease = lease
        return True

    def note_computed(self, sequence: Sequence, unproven: int) -> None:
        """``sequence.computed`` has grown: let others find its new blocks.

        The last ``unproven`` of its tokens are looked at first: nothing has come of them yet that
        would show whether they are numbers.
        """
        holding = self._holdings[sequence]
        own = holding.own
        own.end = sequence.computed
        if unproven and own.sound and not self._store.is_sound(own.place_of(own.end - unproven), unproven):
            own.sound = False
            holding.withdraw()
        holding.register()

    def release(self, sequence: Sequence, *, keep: bool) -> None:
        """Take back what ``sequence`` has. With ``keep`` others may go on finding it."""
        holding = self._holdings.pop(sequence)
        holding.close()
        if not keep:
            for segment in (holding.own, *holding.left):
                self.segments.condemn(segment)
        # The own one first: it is of no use without those before it, so they are to outlive it.
        for segment in (holding.own, *reversed(holding.shared)):
            self.segments.unpin(segment)
        sequence.lease = None
        sequence.shared = ()
        sequence.offset = 0

    def _hold(self, sequence: Sequence, tokens: int, pieces: list[Piece]) -> Holding | None:
        """Lease space for what of ``tokens`` is not shared and take over ``pieces``; None without space."""
        shared, copied = self._divide(sequence, pieces)
        offset = shared[-1].end if shared else 0
        for piece in pieces:
            self.segments.pin(piece.segment)
        lease = self.segments.allocate(tokens - offset)
        holding = None
        if lease is not None:
            computed = pieces[-1].end if pieces else 0
            sequence.lease, sequence.computed, sequence.offset = lease, computed, offset
            sequence.shared = tuple(_span(piece) for piece in shared)
            own = Segment(lease, offset, sequence.tokens, computed, users=1)
            holding = Holding(sequence, own, [piece.segment for piece in shared], self._tree)
            for piece in copied:
                self._copy(piece, own)
        for piece in reversed(pieces):
            if holding is None or piece.segment not in holding.shared:
                self.segments.unpin(piece.segment)
        return holding

    def _divide(self, sequence: Sequence, pieces: list[Piece]) -> tuple[list[Piece], list[Piece]]:
        """What is read where it is, and what is copied."""
        # One that had to make way before is to depend on nobody's space: else it might again and again.
        if not self._may_share or sequence.preempted:
            return [], pieces
        shared: list[Piece] = []
        for piece in pieces[:MOST_SPANS]:
            end = piece.end if piece is not pieces[-1] else piece.end - piece.end % SHARE_IN_STEPS_OF
            if end - piece.start < SHARE_FROM or _is_only_continued(piece):
                break
            shared.append(Piece(piece.segment, piece.start, end))
        start = shared[-1].end if shared else 0
        copied = [
            Piece(piece.segment, max(start, piece.start), piece.end) for piece in pieces if piece.end > start
        ]
        return shared, copied

    def _copy(self, piece: Piece, own: Segment) -> None:
        source = piece.segment
        self._store.copy(source.place_of(piece.start), own.place_of(piece.start), piece.length)
        if source.users == 1 and piece.length == source.held:
            # Conversations go on: the longer copy takes the place of what it continues.
            for node in source.nodes:
                node.segment = own
            own.nodes += source.nodes
            source.nodes.clear()

    def _leave_to_readers(self, holding: Holding, lease: Lease) -> None:
        """Go on in ``lease``, with a copy; the segment stays for those who read it."""
        left = holding.own
        self._store.copy(left.lease.start, lease.start, left.held)
        holding.own = Segment(lease, left.offset, left.tokens, left.end, users=1, sound=left.sound)
        holding.left.append(left)
        self.segments.unpin(left)


def _reusable(sequence: Sequence) -> int:
    """How many tokens may come from others: not the last, whose logits are needed."""
    return 0 if sequence.needs_every_prompt_token else len(sequence.tokens) - 1


def _span(piece: Piece) -> Span:
    return Span(piece.segment.place_of(piece.start), piece.length)


def _is_only_continued(piece: Piece) -> bool:
    """Whether nobody uses the segment, all of which is taken, and a copy is cheap."""
    return not piece.segment.users and piece.length == piece.segment.held <= COPY_WHOLE_UP_TO

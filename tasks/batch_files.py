"""The files of a batch: not stored, but written from its lines whenever they are read.

Lines only ever come on behind those that are there, so a byte stays where it was seen. Where some lines
begin is remembered, by this process for itself: reading a file bit by bit does not begin at its first line
each time.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import Literal

from tasks import batches
from tasks.batch import BatchRecord
from tasks.batch_results import finished_lines
from tasks.files import FileRecord
from tasks.wire.batch_line import line_bytes

_MARK_EVERY_LINES = 200
_FILES_REMEMBERED = 256
_PIECE_BYTES = 64 * 1024
_BEHIND_ALL = 2**63

View = Literal["output", "error"]


@dataclass(slots=True)
class _Marks:
    """Where lines begin: the byte behind the line at each position, both rising."""

    positions: list[int] = field(default_factory=lambda: [0])
    offsets: list[int] = field(default_factory=lambda: [0])

    def before(self, offset: int) -> tuple[int, int]:
        """The last known position at or before a byte, and the byte where the next line begins."""
        found = bisect_right(self.offsets, offset) - 1
        return self.positions[found], self.offsets[found]

    def add(self, position: int, offset: int) -> None:
        if position > self.positions[-1]:
            self.positions.append(position)
            self.offsets.append(offset)


_marks: OrderedDict[str, _Marks] = OrderedDict()
_lock = Lock()


def view_length(file: FileRecord) -> int:
    """How many bytes the file has now. Raises BatchNotFound."""
    batch = _batch_of(file)
    with _lock:
        position, offset = _marks_of(file).before(_BEHIND_ALL)
    return max((behind for _, behind in _lines(file, batch, position, offset)), default=offset)


def open_view(file: FileRecord, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """The bytes from ``start`` up to ``end``, or all there are now, a piece at a time.

    Raises BatchNotFound.
    """
    batch = _batch_of(file)
    with _lock:
        position, offset = _marks_of(file).before(start)
    return _pieces(_cut(_lines(file, batch, position, offset), start, end))


def _batch_of(file: FileRecord) -> BatchRecord:
    return batches.get_batch(file.project_id, file.batch_id or "")


def _lines(file: FileRecord, batch: BatchRecord, position: int, offset: int) -> Iterator[tuple[bytes, int]]:
    """Each line beyond a position that had ended when the batch was read, and the byte behind it."""
    view: View = "output" if file.view == "output" else "error"
    last = position
    for count, line in enumerate(finished_lines(batch, view, position), start=1):
        if line.position > batch.last_position:
            break
        content = line_bytes(batch.id, line)
        offset += len(content)
        last = line.position
        yield content, offset
        if count % _MARK_EVERY_LINES == 0:
            _remember(file, last, offset)
    _remember(file, last, offset)


def _cut(lines: Iterator[tuple[bytes, int]], start: int, end: int | None) -> Iterator[bytes]:
    for content, behind in lines:
        begin = behind - len(content)
        if end is not None and begin >= end:
            return
        piece = content[max(0, start - begin) : None if end is None else end - begin]
        if piece:
            yield piece


def _pieces(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Pieces worth sending on their own."""
    held = bytearray()
    for line in lines:
        held += line
        if len(held) >= _PIECE_BYTES:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _remember(file: FileRecord, position: int, offset: int) -> None:
    with _lock:
        _marks_of(file).add(position, offset)


def _marks_of(file: FileRecord) -> _Marks:
    """Within the lock."""
    marks = _marks.setdefault(file.id, _Marks())
    _marks.move_to_end(file.id)
    if len(_marks) > _FILES_REMEMBERED:
        _marks.popitem(last=False)
    return marks

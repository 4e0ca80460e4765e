"""A choice that was measured once, so that later starts and other workers of this machine make the same."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

_DIGITS = 16


def remembered_choice(
    folder: Path, circumstances: str, candidates: Collection[str], measure: Callable[[], str]
) -> str:
    """What was chosen under the same ``circumstances``, else what ``measure`` says from now on.

    Of several processes that measure at the same time, the first one's result counts for all. Where the
    folder can't be written, each measures for itself.
    """
    file = folder / f"{hashlib.sha256(circumstances.encode()).hexdigest()[:_DIGITS]}.txt"
    chosen = _read(file, candidates)
    if chosen is None:
        chosen = measure()
        with suppress(OSError):
            _write_first(file, chosen)
            chosen = _read(file, candidates) or chosen
    return chosen


def _read(file: Path, candidates: Collection[str]) -> str | None:
    try:
        written = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return written if written in candidates else None


def _write_first(file: Path, chosen: str) -> None:
    """Whole or not at all, and never over another's. Raises OSError."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, suffix=".new", encoding="utf-8") as new:
        new.write(f"{chosen}\n")
        new.flush()
        with suppress(FileExistsError):
            os.link(new.name, file)

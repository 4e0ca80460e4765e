"""A file run as a batch, from upload to results; run again, it goes on where it was."""

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tasks.pricing import usd_text
from web.batch_client.api import Advance, BatchApi
from web.batch_client.batch import INPUT_SHA256, RemoteBatch
from web.batch_client.errors import ClientFailure
from web.batch_client.results import Downloaded
from web.batch_client.screen import Screen
from web.batch_client.source import Requests, Source

ALL_ANSWERED = 0
SOME_FAILED = 3
ENDED_EARLY = 4
INTERRUPTED = 130

_LOOK_EVERY_SECONDS = 0.5
# How long the platform keeps the input of a batch unless it is told otherwise.
_REMEMBERED_SECONDS = 30 * 86_400
# What is about to expire is not worth building upon.
_MARGIN_SECONDS = 3600
_GOING_ON = frozenset({"validating", "in_progress", "finalizing", "completed"})
_MOST_FAULTS_SHOWN = 20
_LONGEST_NAME = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How a batch is to be run."""

    window: str
    options: Mapping[str, object] = field(default_factory=dict)
    again: bool = False

    def body(self, file_id: str, endpoint: str) -> dict[str, Any]:
        return {"input_file_id": file_id, "endpoint": endpoint, "completion_window": self.window}


class Run:
    """One file's way through the platform. ``batch`` is set from when there is one."""

    def __init__(self, api: BatchApi, screen: Screen, source: Source, name: str, terms: Terms) -> None:
        self._api = api
        self._screen = screen
        self._source = source
        self._name = name
        self._terms = terms
        self.batch: RemoteBatch | None = None

    def estimate(self) -> dict[str, Any]:
        """What it would take; creates nothing but the file."""
        with self._source.requests() as requests:
            file_id = self._uploaded(requests)
        return self._api.estimate(self._terms.body(file_id, self._source.endpoint))

    def to_the_end(self, out: Path) -> int:
        """The exit code. Raises ClientFailure."""
        with self._source.requests() as requests:
            self.batch = self._earlier(requests) or self._created(requests)
        ended = self._watched(self.batch)
        written = self._written(ended, out)
        return self._summed_up(ended, written)

    def _earlier(self, requests: Requests) -> RemoteBatch | None:
        """The batch of an earlier run with the same input, unless it came to nothing."""
        if self._terms.again:
            return None
        oldest = time.time() - _REMEMBERED_SECONDS
        for batch in self._api.batches():
            if batch.created_at < oldest:
                return None
            # A retry runs only some of the lines.
            same = batch.input_sha256 == requests.sha256 and batch.retry_of is None
            if same and batch.status in _GOING_ON:
                self._screen.say(f"Going on with {batch.id}, which has the same input.")
                return batch
        return None

    def _created(self, requests: Requests) -> RemoteBatch:
        file_id = self._uploaded(requests)
        wanted = self._terms.body(file_id, self._source.endpoint) | dict(self._terms.options)
        batch = self._api.create(wanted | {"metadata": {INPUT_SHA256: requests.sha256}})
        self._screen.say(f"Created {batch.id}.")
        return batch

    def _uploaded(self, requests: Requests) -> str:
        """The file's id, of an earlier run where that left one."""
        filename = f"{self._name[:_LONGEST_NAME]}.{requests.sha256[:16]}.jsonl"
        found = self._api.find_file(filename, requests.bytes, time.time() + _MARGIN_SECONDS)
        if found is not None:
            return found
        with self._screen.transfer("Uploading", requests.bytes) as advance:
            return self._api.upload(requests.path, filename, advance)

    def _watched(self, batch: RemoteBatch) -> RemoteBatch:
        with self._screen.batch(batch) as show:
            show(batch)
            while not batch.ended:
                time.sleep(_LOOK_EVERY_SECONDS)
                batch = self._api.batch(batch.id)
                show(batch)
        return batch

    def _written(self, batch: RemoteBatch, out: Path) -> list[Path]:
        """The files with results; none where no line has any."""
        if batch.output_file_id is None and batch.error_file_id is None:
            return []
        with ExitStack() as block:
            # Beside its place, so that it is there as a whole or not at all.
            folder = Path(block.enter_context(TemporaryDirectory(prefix=".tokenmill-", dir=out.parent)))
            advance = block.enter_context(self._screen.transfer("Downloading", None))
            downloaded = Downloaded(
                self._fetched(batch.output_file_id if batch.completed else None, folder / "output", advance),
                self._fetched(batch.error_file_id, folder / "errors", advance),
            )
            return self._source.write(downloaded, out)

    def _fetched(self, file_id: str | None, path: Path, advance: Advance) -> Path | None:
        if file_id is None:
            return None
        with path.open("wb") as file:
            self._api.download(file_id, file, advance)
        return path if path.stat().st_size else None

    def _summed_up(self, batch: RemoteBatch, written: list[Path]) -> int:
        for fault in batch.faults[:_MOST_FAULTS_SHOWN]:
            self._screen.say(f"  {fault}")
        if len(batch.faults) > _MOST_FAULTS_SHOWN:
            self._screen.say(f"  … and {len(batch.faults) - _MOST_FAULTS_SHOWN} more")
        self._screen.say(
            f"{batch.id} {batch.status}: {batch.completed:,} answers, {batch.failed:,} errors, "
            f"{batch.input_tokens:,} input and {batch.output_tokens:,} output tokens, "
            f"${usd_text(batch.cost_usd)}."
        )
        if written:
            self._screen.say(f"Written: {', '.join(map(str, written))}")
        if batch.status != "completed":
            return ENDED_EARLY
        return SOME_FAILED if batch.failed else ALL_ANSWERED


def how_to_go_on(run: Run) -> str:
    """For whoever has just pressed Ctrl-C."""
    if run.batch is None:
        return "Stopped. Run the same command again to go on."
    return (
        f"Stopped watching; {run.batch.id} goes on. Run the same command again to pick it up, or end it "
        f"with\n  tokenmill batch cancel {run.batch.id}"
    )


def check_out(out: Path, source: Path) -> None:
    """Whether results can be written there at the end. Raises ClientFailure."""
    if not out.parent.is_dir():
        raise ClientFailure(f"There is no folder {out.parent}.")
    if out.exists() and out.samefile(source):
        raise ClientFailure(f"The results would overwrite {source}: name another file with -o.")

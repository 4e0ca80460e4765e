"""The events of any job: its tokens as they come, between the job as it was and as it became."""

import json
from collections.abc import Iterator, Sequence

from tasks.errors import InvalidRequest
from tasks.result import JobResult
from tasks.wire.chunks import Event, Piece
from tasks.wire.job import job_body


class JobEvents:
    """Renders the events that come after a position: how many pieces of each output were seen.

    ``position`` () is the beginning. ``param`` is where the client wrote it.
    """

    def __init__(self, position: Sequence[int] = (), param: str | None = None) -> None:
        self._seen = list(position)
        self._param = param
        self._job_id = ""

    def begin(self, result: JobResult) -> Iterator[Event]:
        """How the job stands. Raises InvalidRequest for a position of another kind of job."""
        outputs = max(1, len(result.choices))
        if self._seen and len(self._seen) != outputs:
            raise InvalidRequest(
                f"This job has {outputs} output(s), and the position counts {len(self._seen)}.",
                param=self._param,
            )
        self._seen = self._seen or [0] * outputs
        self._job_id = result.job.id
        return _job(result)

    def piece(self, piece: Piece) -> Iterator[Event]:
        if self._seen[piece.choice]:
            self._seen[piece.choice] -= 1
            return
        tokens = {
            "object": "job.tokens",
            "job_id": self._job_id,
            "choice": piece.choice,
            "position": piece.position,
            "text": piece.text,
            "token_ids": [] if piece.token_id is None else [piece.token_id],
        }
        yield Event(event="tokens", data=json.dumps(tokens, ensure_ascii=False))

    def end(self, result: JobResult) -> Iterator[Event]:
        return _job(result)


def _job(result: JobResult) -> Iterator[Event]:
    yield Event(event="job", data=job_body(result.job).model_dump_json())

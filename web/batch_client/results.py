"""What came of each line, found by the line's own id."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self


@dataclass(frozen=True, slots=True)
class Downloaded:
    """The files of a batch that has ended; None for one without lines."""

    output: Path | None
    errors: Path | None


@dataclass(frozen=True, slots=True)
class LineResult:
    """The answer to a line, or what went wrong with it."""

    answer: str | None = None
    error: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    @classmethod
    def of(cls, line: dict[str, Any]) -> Self:
        response, error = line["response"], line["error"]
        if error is not None:
            return cls(error=error["message"])
        if "error" in response["body"]:
            return cls(error=response["body"]["error"]["message"])
        body = response["body"]
        usage = body["usage"]
        return cls(
            answer=body["choices"][0]["message"]["content"],
            input_tokens=usage["prompt_tokens"],
            output_tokens=usage["completion_tokens"],
        )


class Results:
    """Lines in whatever order they ended; only where they stand is kept in memory."""

    def __init__(self, files: Sequence[IO[bytes]]) -> None:
        self._places: dict[str, tuple[IO[bytes], int]] = {}
        for file in files:
            place = 0
            for line in file:
                self._places[json.loads(line)["custom_id"]] = (file, place)
                place += len(line)

    @classmethod
    @contextmanager
    def reading(cls, downloaded: Downloaded) -> Iterator[Self]:
        with ExitStack() as opened:
            paths = (downloaded.output, downloaded.errors)
            yield cls([opened.enter_context(path.open("rb")) for path in paths if path is not None])

    def of(self, custom_id: str) -> LineResult:
        found = self._places.get(custom_id)
        if found is None:
            return LineResult(error="There is no result for this row.")
        file, place = found
        file.seek(place)
        return LineResult.of(json.loads(file.readline()))

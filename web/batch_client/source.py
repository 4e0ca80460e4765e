"""What a user wants run, as a file of requests, and how its results are written for them."""

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from web.batch_client.errors import ClientFailure
from web.batch_client.results import Downloaded, Results
from web.batch_client.tables import Table
from web.batch_client.template import PromptTemplate

CHAT = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class Requests:
    """JSON lines ready to be sent, known by their digest."""

    path: Path
    sha256: str
    bytes: int


class Source(Protocol):
    """A file to be run."""

    @property
    def endpoint(self) -> str: ...

    def requests(self) -> AbstractContextManager[Requests]:
        """The requests, while the block lasts. Raises ClientFailure."""
        ...

    def write(self, downloaded: Downloaded, out: Path) -> list[Path]:
        """The files written: the first is ``out``."""
        ...


class JsonlSource:
    """Requests as they are to be sent; results as they come back."""

    def __init__(self, path: Path, endpoint: str | None) -> None:
        self._path = path
        self.endpoint = endpoint or _endpoint_in(path)

    @contextmanager
    def requests(self) -> Iterator[Requests]:
        yield _requests(self._path)

    def write(self, downloaded: Downloaded, out: Path) -> list[Path]:
        errors = out.with_name(f"{out.stem}.errors{out.suffix}")
        # One of an earlier run would speak of lines that have answers now.
        errors.unlink(missing_ok=True)
        out.unlink(missing_ok=True)
        if downloaded.output is None:
            out.touch()
        else:
            shutil.move(downloaded.output, out)
        if downloaded.errors is None:
            return [out]
        shutil.move(downloaded.errors, errors)
        return [out, errors]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of every row."""

    prompt: PromptTemplate
    system: PromptTemplate | None
    model: str
    max_tokens: int | None

    def body(self, row: Mapping[str, object]) -> dict[str, Any]:
        messages = [{"role": "user", "content": self.prompt.fill(row)}]
        if self.system is not None:
            messages.insert(0, {"role": "system", "content": self.system.fill(row)})
        body: dict[str, Any] = {"model": self.model, "messages": messages}
        return body if self.max_tokens is None else body | {"max_tokens": self.max_tokens}


class TableSource:
    """A chat for each row of a table; the answers become columns of it."""

    endpoint = CHAT

    def __init__(self, table: Table, asked: Asked, prefix: str) -> None:
        self._table = table
        self._asked = asked
        kinds: dict[str, type] = {"answer": str, "error": str, "input_tokens": int, "output_tokens": int}
        self._added = {prefix + name: kind for name, kind in kinds.items()}
        for template in (asked.prompt, asked.system):
            if template is not None:
                template.check(table.columns)
        taken = self._added.keys() & set(table.columns)
        if taken:
            raise ClientFailure(
                f"The file has a column {min(taken)!r} already; with --prefix those "
                "of the results get other names."
            )

    @contextmanager
    def requests(self) -> Iterator[Requests]:
        with tempfile.TemporaryDirectory(prefix="tokenmill-") as folder:
            path = Path(folder) / "requests.jsonl"
            with path.open("w", encoding="utf-8") as file:
                for number, row in enumerate(self._table.rows(), start=1):
                    file.write(json.dumps(self._line(number, row), ensure_ascii=False) + "\n")
            yield _requests(path)

    def write(self, downloaded: Downloaded, out: Path) -> list[Path]:
        with Results.reading(downloaded) as results, tempfile.TemporaryDirectory(dir=out.parent) as folder:
            whole = Path(folder) / out.name
            self._table.write(whole, self._added, self._answers(results))
            whole.replace(out)
        return [out]

    def _line(self, number: int, row: Mapping[str, object]) -> dict[str, Any]:
        return {
            "custom_id": _row_id(number),
            "method": "POST",
            "url": self.endpoint,
            "body": self._asked.body(row),
        }

    def _answers(self, results: Results) -> Iterator[tuple[object, ...]]:
        for number, _ in enumerate(self._table.rows(), start=1):
            line = results.of(_row_id(number))
            yield line.answer, line.error, line.input_tokens, line.output_tokens


def _row_id(number: int) -> str:
    return f"row-{number}"


def _requests(path: Path) -> Requests:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Requests(path, digest, path.stat().st_size)


def _endpoint_in(path: Path) -> str:
    """The endpoint that the first line names; what is wrong with the rest is for the platform to say."""
    try:
        with path.open("rb") as file:
            url = json.loads(next((line for line in file if line.strip()), b""))["url"]
    except (ValueError, KeyError, TypeError):
        url = None
    if not isinstance(url, str):
        raise ClientFailure(
            f"The first line of {path} is no request with a `url`; "
            'it should be like {"custom_id": "1", "method": "POST", "url": "/v1/chat/completions", '
            '"body": {…}}.'
        )
    return url

"""Whether exported receipts are what was signed, offline: with the file and public keys alone.

What was cut off behind the last receipt can't be missed by the rest: compare the last one's hash with what is
known of it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tasks.receipts.canonical import canonical, sha256_of
from tasks.receipts.signing import PublicKey

Fault = Literal["malformed", "tampered", "wrong_key", "reordered", "repeated", "missing", "broken_chain"]


class _Content(BaseModel):
    """As much of a receipt as the chain and the sums need."""

    model_config = ConfigDict(strict=True)

    project_id: str
    sequence: int = Field(ge=1)
    previous_sha256: str | None
    key_id: str
    cost_usd: str


class _Line(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    receipt: dict[str, Any]
    sha256: str
    signature: str


@dataclass(frozen=True, slots=True)
class WrongReceipt:
    """The first thing that is wrong, and where."""

    fault: Fault
    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message} ({self.fault})"


@dataclass(frozen=True, slots=True)
class Chain:
    """A project's receipts, as far as they were verified."""

    receipts: int
    last_sha256: str | None
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class ReceiptsVerified:
    chains: Mapping[str, Chain]
    wrong: WrongReceipt | None


class _Wrong(Exception):
    def __init__(self, fault: Fault, message: str) -> None:
        self.fault: Fault = fault
        self.message = message


def verify_receipts(lines: Sequence[bytes] | Iterable[bytes], keys: Sequence[PublicKey]) -> ReceiptsVerified:
    """Up to the first receipt that is wrong. Chains of several projects may be mixed."""
    known = {key.id: key for key in keys}
    chains: defaultdict[str, Chain] = defaultdict(lambda: Chain(0, None, Decimal(0)))
    remaining = _numbered(lines)
    for number, line in remaining:
        try:
            read = _read(line)
            content = _content(read)
            _check_signature(read, content, known)
            _check_place(content, chains[content.project_id], remaining)
            chains[content.project_id] = _longer(chains[content.project_id], read, content)
        except _Wrong as wrong:
            return ReceiptsVerified(chains, WrongReceipt(wrong.fault, number, wrong.message))
    return ReceiptsVerified(chains, None)


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(lines, 1) if line.strip())


def _read(line: bytes) -> _Line:
    try:
        return _Line.model_validate(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise _Wrong("malformed", "this is not a receipt") from error


def _content(read: _Line) -> _Content:
    try:
        content = _Content.model_validate(read.receipt)
        Decimal(content.cost_usd)
    except (ValidationError, InvalidOperation) as error:
        raise _Wrong("malformed", "this is not a receipt") from error
    return content


def _check_signature(read: _Line, content: _Content, known: Mapping[str, PublicKey]) -> None:
    named = _name(content)
    try:
        document = canonical(read.receipt)
    except ValueError as error:
        raise _Wrong("tampered", f"{named} holds what no receipt does") from error
    if sha256_of(document) != read.sha256:
        raise _Wrong("tampered", f"{named} is not what its hash was made of")
    key = known.get(content.key_id)
    if key is None:
        raise _Wrong("wrong_key", f"{named} was signed with the key {content.key_id}, which is not given")
    if not key.signed(document, read.signature):
        raise _Wrong("tampered", f"{named} is not what was signed")


def _check_place(content: _Content, chain: Chain, remaining: Iterator[tuple[int, bytes]]) -> None:
    """``remaining`` is read on only to tell a receipt that comes later from one that never does."""
    expected = chain.receipts + 1
    if content.sequence < expected:
        raise _Wrong("repeated", f"{_name(content)} was there before")
    if content.sequence > expected:
        if any(_is(line, content.project_id, expected) for _, line in remaining):
            raise _Wrong("reordered", f"{_name(content)} stands ahead of receipt {expected}")
        raise _Wrong("missing", f"receipt {expected} of {content.project_id} is missing ahead of this one")
    if content.previous_sha256 != chain.last_sha256:
        raise _Wrong("broken_chain", f"{_name(content)} does not follow the one ahead of it")


def _is(line: bytes, project_id: str, sequence: int) -> bool:
    try:
        content = _content(_read(line))
    except _Wrong:
        return False
    return (content.project_id, content.sequence) == (project_id, sequence)


def _longer(chain: Chain, read: _Line, content: _Content) -> Chain:
    return Chain(chain.receipts + 1, read.sha256, chain.cost_usd + Decimal(content.cost_usd))


def _name(content: _Content) -> str:
    return f"receipt {content.sequence} of {content.project_id}"

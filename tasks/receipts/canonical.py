"""The one way in which a receipt is written, so that its hash means something: RFC 8785.

Receipts hold texts, small whole numbers, null and objects of these. For those the RFC is sorted keys and no
spaces, which Python's own module writes; its hard part, how to write a fraction, is kept out.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

_EXACT = 2**53


def canonical(document: Mapping[str, Any]) -> bytes:
    """Raises ValueError for what a receipt never holds."""
    _check(document)
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def sha256_of(document: bytes) -> str:
    return sha256(document).hexdigest()


def _check(value: object) -> None:
    if isinstance(value, Mapping):
        for name, held in value.items():
            # Beyond ASCII, Python and the RFC sort differently.
            if not isinstance(name, str) or not name.isascii():
                raise ValueError(f"not a name in a receipt: {name!r}")
            _check(held)
        return
    if isinstance(value, int) and not isinstance(value, bool) and -_EXACT < value < _EXACT:
        return
    if not (value is None or isinstance(value, str)):
        raise ValueError(f"not a value in a receipt: {type(value).__name__}")

"""What a receipt says. Whatever may have a fraction, or more digits than JSON is sure of, is a text."""

import struct
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any

from sqlalchemy import RowMapping

from tasks.job_results import prompts_of
from tasks.pricing import usd_text
from tasks.sampling import read_sampling

VERSION = 1

_PARAMETERS = (
    *("temperature", "top_p", "top_k", "min_p", "typical_p"),
    *("repetition_penalty", "frequency_penalty", "presence_penalty", "min_tokens"),
)


def document(row: RowMapping, *, sequence: int, previous: str | None, key_id: str) -> dict[str, Any]:
    """The receipt of a charge, from a row of `tasks.receipts.chain`."""
    erased = row["request"] == {}
    return {
        "version": VERSION,
        "project_id": row["project_id"],
        "sequence": sequence,
        "previous_sha256": previous,
        "key_id": key_id,
        "job": {
            "id": row["job_id"],
            "type": row["type"],
            "endpoint": row["endpoint"],
            "status": row["status"],
            "batch_id": row["batch_id"],
            "service_tier": row["service_tier"],
            "ended_at": _moment(row["ended_at"]),
        },
        "model": {
            "name": row["model"],
            "revision": row["revision"],
            "quantization": row["quantization"],
            "fingerprint": row["system_fingerprint"],
        },
        "parameters": None if erased else _parameters(row),
        "seed": str(row["seed"]),
        "usage": {
            "prompt_tokens": row["prompt_tokens"],
            "cached_tokens": row["cached_tokens"],
            "completion_tokens": row["completion_tokens"],
        },
        "price_usd_per_million_tokens": {
            "input": _usd(row["price_input_usd"]),
            "cached_input": _usd(row["price_cached_input_usd"]),
            "output": _usd(row["price_output_usd"]),
        },
        "cost_usd": _usd(row["amount_usd"]),
        "ledger_entry": {"id": str(row["ledger_entry_id"]), "business_key": row["business_key"]},
        "input_sha256": None if erased else tokens_sha256(_inputs(row)),
        "output_sha256": None if erased else tokens_sha256(_outputs(row)),
    }


def tokens_sha256(sequences: Iterable[Sequence[int]]) -> str:
    """Of each sequence its length and then its token ids, all as unsigned little-endian 32-bit numbers."""
    digest = sha256()
    for token_ids in sequences:
        digest.update(struct.pack(f"<{len(token_ids) + 1}I", len(token_ids), *token_ids))
    return digest.hexdigest()


def _parameters(row: RowMapping) -> dict[str, Any]:
    sampling = read_sampling(row["sampling"], row["request"], max_tokens=row["max_tokens"], seed=row["seed"])
    if row["type"] == "embedding":
        return {}
    shown = {name: _number(getattr(sampling.params, name)) for name in _PARAMETERS}
    return shown | {"max_tokens": row["max_tokens"], "n": sampling.n, "best_of": sampling.best_of}


def _inputs(row: RowMapping) -> Sequence[Sequence[int]]:
    return prompts_of(row["prompt_token_ids"], row["prompt_lengths"])


def _outputs(row: RowMapping) -> Sequence[Sequence[int]]:
    if row["choices"] is not None:
        return [choice["token_ids"] for choice in row["choices"]]
    return [] if row["output_token_ids"] is None else [row["output_token_ids"]]


def _number(value: float) -> int | str:
    return value if isinstance(value, int) else f"{Decimal(repr(value)):f}"


def _usd(amount: Decimal) -> str:
    return usd_text(amount)


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

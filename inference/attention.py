"""Attention of one packed step over the key-value arena, registered with transformers.

A step packs tokens of many sequences into one row of T tokens. Linear layers don't mind; attention
is where the sequences part. Single tokens (decoding) of neighbouring leases are attended in one
call, chunks of prompts one by one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from transformers import AttentionInterface

from inference.errors import ModelLoadError

IMPLEMENTATION = "tokenmill"
"""The name under which models find this attention. transformers builds no masks for it."""

CHANGES_THE_RESULT = ("softcap", "s_aux", "position_bias")

KeyValues = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class SingleGroup:
    """Rows ``first_row:end_row``, one new token each, of leases that follow each other in the arena.

    ``lengths`` [rows] counts the tokens each row sees, its own included; ``longest`` is its maximum.
    """

    first_row: int
    end_row: int
    arena_start: int
    capacity: int
    longest: int
    shortest: int
    lengths: Tensor


@dataclass(frozen=True, slots=True)
class PrefillChunk:
    """Rows ``first_row:end_row`` are the tokens of one sequence that end at position ``length``."""

    first_row: int
    end_row: int
    arena_start: int
    length: int

    @property
    def rows(self) -> int:
        return self.end_row - self.first_row


@dataclass(frozen=True)
class AttentionPlan:
    """What every layer needs to attend one step.

    ``layers`` maps a layer's index to its keys and values, [arena tokens, heads, width] each;
    ``arena_rows`` [T] says where in them the new tokens go.
    """

    layers: Mapping[int, KeyValues]
    arena_rows: Tensor
    singles: list[SingleGroup]
    chunks: list[PrefillChunk]
    _masks: dict[tuple[int, int | None], Tensor | None] = field(default_factory=dict)

    def mask_of_group(self, group: SingleGroup, window: int | None, dtype: torch.dtype) -> Tensor | None:
        """Additive mask [rows, 1, 1, longest]; None where every row sees everything."""
        key = (group.first_row, window)
        if key not in self._masks:
            self._masks[key] = _mask_group(group, window, dtype)
        return self._masks[key]

    def mask_of_chunk(self, chunk: PrefillChunk, window: int | None, like: Tensor, shared: int) -> Tensor:
        """Additive mask [shared x chunk rows, length], the rows repeated for heads that share keys."""
        key = (chunk.first_row, window)
        mask = self._masks.get(key)
        if mask is None:
            mask = self._masks[key] = _mask_chunk(chunk, window, like).repeat(shared, 1)
        return mask


def _mask_group(group: SingleGroup, window: int | None, dtype: torch.dtype) -> Tensor | None:
    if group.shortest == group.longest and (window is None or window >= group.longest):
        return None
    positions = torch.arange(group.longest, device=group.lengths.device)
    lengths = group.lengths[:, None]
    visible = positions < lengths
    if window is not None:
        visible &= positions >= lengths - window
    return _additive(visible, dtype)[:, None, None]


def _mask_chunk(chunk: PrefillChunk, window: int | None, like: Tensor) -> Tensor:
    keys = torch.arange(chunk.length, device=like.device)
    queries = torch.arange(chunk.length - chunk.rows, chunk.length, device=like.device)[:, None]
    visible = keys <= queries
    if window is not None:
        visible &= keys > queries - window
    return _additive(visible, like.dtype)


def _additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill_(
        ~visible, float("-inf")
    )


def packed_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    scaling: float | None = None,
    sliding_window: int | None = None,
    plan: AttentionPlan | None = None,
    **options: object,
) -> tuple[Tensor, None]:
    """Attend ``query`` [1, heads, T, width] to its sequences; returns [1, T, heads, value width].

    Writes the new ``key`` and ``value`` [1, key heads, T, width] into the arena first. Raises
    ModelLoadError for a model that needs what this does not do.
    """
    if plan is None:
        raise ModelLoadError("The model does not hand its options down to its attention layers.")
    for name in CHANGES_THE_RESULT:
        if options.get(name) is not None:
            raise ModelLoadError(f"The model's attention needs {name!r}, which this engine does not have.")
    keys, values = plan.layers[int(module.layer_idx)]  # type: ignore[arg-type]
    keys[plan.arena_rows] = key[0].transpose(0, 1)
    values[plan.arena_rows] = value[0].transpose(0, 1)
    out = query.new_empty(query.shape[2], query.shape[1], value.shape[-1])
    for group in plan.singles:
        mask = plan.mask_of_group(group, sliding_window, query.dtype)
        _attend_singles(group, query, (keys, values), mask, scaling, out)
    for chunk in plan.chunks:
        _attend_chunk(plan, chunk, query, (keys, values), sliding_window, scaling, out)
    return out[None], None


def _attend_singles(
    group: SingleGroup,
    query: Tensor,
    cache: KeyValues,
    mask: Tensor | None,
    scaling: float | None,
    out: Tensor,
) -> None:
    rows, heads, key_heads = group.end_row - group.first_row, query.shape[1], cache[0].shape[1]
    lanes = slice(group.arena_start, group.arena_start + rows * group.capacity)
    keys, values = (
        part[lanes].view(rows, group.capacity, key_heads, -1)[:, : group.longest].transpose(1, 2)
        for part in cache
    )
    # The heads that share keys become the queries of one head: the keys are read once for all of them.
    queries = query[0, :, group.first_row : group.end_row].transpose(0, 1)
    queries = queries.reshape(rows, key_heads, heads // key_heads, -1)
    attended = functional.scaled_dot_product_attention(queries, keys, values, mask, scale=scaling)
    out[group.first_row : group.end_row] = attended.reshape(rows, heads, -1)


def _attend_chunk(
    plan: AttentionPlan,
    chunk: PrefillChunk,
    query: Tensor,
    cache: KeyValues,
    window: int | None,
    scaling: float | None,
    out: Tensor,
) -> None:
    heads, key_heads = query.shape[1], cache[0].shape[1]
    keys, values = (
        part[chunk.arena_start : chunk.arena_start + chunk.length].transpose(0, 1)[None] for part in cache
    )
    queries = query[:, :, chunk.first_row : chunk.end_row]
    if chunk.rows == chunk.length and (window is None or window >= chunk.length):
        attended = functional.scaled_dot_product_attention(
            queries, keys, values, is_causal=True, scale=scaling, enable_gqa=heads != key_heads
        )
    else:
        mask = plan.mask_of_chunk(chunk, window, query, heads // key_heads)
        queries = queries.reshape(1, key_heads, heads // key_heads * chunk.rows, -1)
        attended = functional.scaled_dot_product_attention(queries, keys, values, mask, scale=scaling)
    out[chunk.first_row : chunk.end_row] = attended.reshape(heads, chunk.rows, -1).transpose(0, 1)


AttentionInterface.register(IMPLEMENTATION, packed_attention)

"""Choosing the next token of every row of a step at once, each by its own parameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FAST_CANDIDATES = 256
NOISE_BITS = 24
# Between the largest and the smallest value that the noise can take lie 17.4 + 2.9: a token whose
# logit is further than that below the best can't win, so noise is made only for the others.
REACH_OF_NOISE = 20.5

UINT64 = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15
MIX_1 = 0xBF58476D1CE4E5B9
MIX_2 = 0x94D049BB133111EB


@dataclass(frozen=True, slots=True)
class SamplingRow:
    """The parameters of one row. ``position`` counts the output tokens before this one."""

    temperature: float
    top_p: float
    seed: int
    position: int


def sample(logits: Tensor, rows: Sequence[SamplingRow]) -> list[int | None]:
    """One token id for each row of ``logits`` [rows, vocabulary]; None where a row holds NaN or infinity.

    Rows with temperature 0 take the likeliest token. The others add noise that is a function of
    (seed, position, token) and take the largest sum, which samples from the softmax; nothing
    about the other rows of the batch plays a part.
    """
    best, tokens = logits.max(dim=-1)
    sampled = [index for index, row in enumerate(rows) if row.temperature > 0]
    if sampled:
        index = torch.tensor(sampled, device=logits.device)
        chosen = [rows[position] for position in sampled]
        tokens[index] = _sample_warm(logits[index], best[index], chosen)
    finite = torch.isfinite(best).tolist()
    return [token if usable else None for token, usable in zip(tokens.tolist(), finite, strict=True)]


def _sample_warm(logits: Tensor, best: Tensor, rows: Sequence[SamplingRow]) -> Tensor:
    temperature = torch.tensor([row.temperature for row in rows], dtype=torch.float32, device=logits.device)
    # Taking the best off first keeps a tiny temperature from overflowing.
    scaled = (logits.float() - best.float()[:, None]) / temperature[:, None]
    floor = nucleus_floor(scaled, [row.top_p for row in rows]).clamp(min=-REACH_OF_NOISE)
    row_index, token_index = (scaled >= floor[:, None]).nonzero(as_tuple=True)
    keys = [noise_key(row.seed, row.position) for row in rows]
    noise = gumbel_noise(torch.tensor(keys, device=logits.device)[row_index], token_index)
    perturbed = torch.full_like(scaled, float("-inf"))
    perturbed[row_index, token_index] = scaled[row_index, token_index] + noise
    return perturbed.argmax(dim=-1)


def nucleus_floor(logits: Tensor, top_p: Sequence[float]) -> Tensor:
    """The lowest logit [rows] within the fewest likeliest tokens whose probabilities sum to ``top_p``.

    Tokens that tie with it are within, so the outcome does not hang on an order among equals.
    """
    floor = logits.new_full((len(top_p),), float("-inf"))
    narrow = [index for index, share in enumerate(top_p) if share < 1]
    if not narrow:
        return floor
    index = torch.tensor(narrow, device=logits.device)
    share = torch.tensor([top_p[position] for position in narrow], device=logits.device)[:, None]
    chosen = logits[index]
    total = chosen.logsumexp(dim=-1, keepdim=True)
    ordered = chosen.topk(min(FAST_CANDIDATES, chosen.shape[-1])).values
    if bool(((ordered - total).exp().sum(dim=-1, keepdim=True) < share).any()):
        ordered = chosen.sort(dim=-1, descending=True).values
    probability = (ordered - total).exp()
    before = probability.cumsum(dim=-1) - probability
    last = (before < share).sum(dim=-1, keepdim=True).clamp(min=1) - 1
    floor[index] = ordered.gather(-1, last)[:, 0]
    return floor


def noise_key(seed: int, position: int) -> int:
    """A signed 64-bit number in which every bit of ``seed`` and ``position`` counts."""
    key = _mix((seed & UINT64) + GOLDEN * (position + 1))
    return key - (1 << 64) if key >> 63 else key


def _mix(value: int) -> int:
    """The finalizer of SplitMix64."""
    value &= UINT64
    value = ((value ^ (value >> 30)) * MIX_1) & UINT64
    value = ((value ^ (value >> 27)) * MIX_2) & UINT64
    return value ^ (value >> 31)


def gumbel_noise(keys: Tensor, tokens: Tensor) -> Tensor:
    """Standard Gumbel noise for each pair of a key (see ``noise_key``) and a token id, both int64."""
    mixed = keys + (tokens + 1) * _signed(GOLDEN)
    mixed = (mixed ^ _shift_right(mixed, 30)) * _signed(MIX_1)
    mixed = (mixed ^ _shift_right(mixed, 27)) * _signed(MIX_2)
    mixed = mixed ^ _shift_right(mixed, 31)
    uniform = ((mixed & ((1 << NOISE_BITS) - 1)).double() + 0.5) / (1 << NOISE_BITS)
    return -(-uniform.log()).log().float()


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _shift_right(values: Tensor, bits: int) -> Tensor:
    """int64 shifts in copies of its sign; an unsigned shift has zeros there."""
    return (values >> bits) & ((1 << (64 - bits)) - 1)

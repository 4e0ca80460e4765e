"""Choosing the next token of every row of a step at once, each by its own parameters."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

NOISE_BITS = 24
NEAR = 10.0
"""Tokens this close to the best, in units of logit over temperature, are looked at one by one."""
TAIL = -1
"""Stands for all the other tokens where noise is drawn."""

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
    """Sample near the best token first, and look further only in the rows where that is needed.

    The largest of many noisy logits is itself distributed as one noisy logit, that of their sum, and
    says nothing about which of them it was. So one draw stands for the whole tail, and only where it
    wins is there another among the tail's tokens.
    """
    device = logits.device
    temperature = torch.tensor([row.temperature for row in rows], dtype=torch.float32, device=device)
    top_p = torch.tensor([row.top_p for row in rows], dtype=torch.float32, device=device)
    keys = torch.tensor([noise_key(row.seed, row.position) for row in rows], device=device)
    # Taking the best off first keeps a tiny temperature from overflowing.
    scaled = (logits.float() - best.float()[:, None]) / temperature[:, None]
    total = scaled.logsumexp(dim=-1)
    values, tokens = _near(scaled)
    inside = (values.logsumexp(dim=-1) - total).exp()
    kept = values >= nucleus_floor(values, total, top_p)[:, None]
    noisy = values.masked_fill(~kept, float("-inf")) + gumbel_noise(keys[:, None], tokens)
    highest, winner = noisy.max(dim=-1)
    chosen = tokens.gather(-1, winner[:, None])[:, 0]
    tail = (1 - inside).clamp(min=0).log() + total + gumbel_noise(keys, torch.full_like(keys, TAIL))
    tail_wins = (top_p >= 1) & (tail > highest)
    wide = (tail_wins | (top_p < 1) & (inside < top_p)).nonzero()[:, 0]
    if len(wide):
        chosen[wide] = _sample_wide(scaled[wide], total[wide], keys[wide], top_p[wide], tail_wins[wide])
    return chosen


def _near(scaled: Tensor) -> tuple[Tensor, Tensor]:
    """The logits near the best and their token ids, both [rows, most of any row]; the rest is -inf."""
    near = scaled >= -NEAR
    row, token = near.nonzero(as_tuple=True)
    counts = near.sum(dim=-1)
    column = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
    shape = (len(scaled), max(1, int(counts.max())))
    values = scaled.new_full(shape, float("-inf"))
    tokens = token.new_zeros(shape)
    values[row, column] = scaled[row, token]
    tokens[row, column] = token
    return values, tokens


def _sample_wide(scaled: Tensor, total: Tensor, keys: Tensor, top_p: Tensor, only_tail: Tensor) -> Tensor:
    """Sample with noise for every token, or for every token that is not near."""
    allowed = scaled >= nucleus_floor(scaled, total, top_p)[:, None]
    allowed &= ~only_tail[:, None] | (scaled < -NEAR)
    every = torch.arange(scaled.shape[-1], device=scaled.device)
    noisy = scaled.masked_fill(~allowed, float("-inf")) + gumbel_noise(keys[:, None], every)
    return noisy.argmax(dim=-1)


def nucleus_floor(logits: Tensor, total: Tensor, top_p: Tensor) -> Tensor:
    """The lowest logit [rows] within the fewest likeliest tokens whose probabilities sum to ``top_p``.

    ``total`` [rows] is the log of the sum over all tokens, of which ``logits`` may be the likeliest
    only. Tokens that tie with the lowest are within, so the outcome does not hang on an order among
    equals.
    """
    everything = torch.full_like(total, float("-inf"))
    if bool((top_p >= 1).all()):
        return everything
    ordered = logits.sort(dim=-1, descending=True).values
    probability = (ordered - total[:, None]).exp()
    before = probability.cumsum(dim=-1) - probability
    last = (before < top_p[:, None]).sum(dim=-1, keepdim=True).clamp(min=1) - 1
    return torch.where(top_p < 1, ordered.gather(-1, last)[:, 0], everything)


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
    """Standard Gumbel noise for each pair of a key (see ``noise_key``) and a token id, both int64.

    ``keys`` and ``tokens`` are broadcast against each other.
    """
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

"""Runs the work of a step through the model and samples."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from inference.cache import KeyValueCache
from inference.packing import PackedStep, pack
from inference.sampling import SamplingRow, sample
from inference.scheduler import Work


@dataclass(frozen=True, slots=True)
class Sampled:
    """The token that a piece of work yielded; None where its logits were no numbers."""

    work: Work
    token_id: int | None


class ModelRunner:
    """One forward pass for the work of one step, over an unmodified transformers model."""

    def __init__(self, model: Any, cache: KeyValueCache) -> None:
        self._model = model
        self._cache = cache

    @torch.inference_mode()
    def run(self, work: Sequence[Work]) -> list[Sampled]:
        """Compute ``work`` and sample where it reaches the end of a sequence.

        Leaves the sequences alone, so that work that raised may be run again. Raises whatever the
        model raises.
        """
        step = pack(work, self._cache.layers, self._model.device)
        logits = self._forward(step)
        if not step.sampling_work:
            return []
        rows = [_sampling_row(item) for item in step.sampling_work]
        tokens = sample(logits, rows)
        return [Sampled(item, token) for item, token in zip(step.sampling_work, tokens, strict=True)]

    def _forward(self, step: PackedStep) -> Tensor:
        output = self._model(
            input_ids=step.token_ids,
            position_ids=step.positions,
            use_cache=False,
            logits_to_keep=step.sampling_rows,
            plan=step.plan,
        )
        logits: Tensor = output.logits[0]
        return logits


def _sampling_row(item: Work) -> SamplingRow:
    params = item.sequence.request.params
    return SamplingRow(params.temperature, params.top_p, params.seed, item.sequence.generated)

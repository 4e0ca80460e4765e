"""Replaces a model's linear layers by the ones that are fastest on this CPU."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from inference.int8_kernels import DynamicKernel, WeightOnlyKernel, has_dynamic_kernel
from inference.int8_linear import Int8Linear
from inference.int8_rows import Int8Rows
from inference.outliers import find_outliers
from inference.prepacked_linear import PrepackedLinear, can_prepack

SMALLEST_SIDE = 64
"""Smaller layers, such as the routers of mixtures, stay as they are: they cost little and decide much."""


def quantize_linear_layers(model: nn.Module, token_ids: Sequence[int]) -> None:
    """Turn linear layers, plain ones or bitsandbytes' LLM.int8, into ``Int8Linear``.

    ``token_ids`` of a short text show where activations have outliers. The output layer is
    quantized as well; an embedding tied to it keeps its own weight.
    """
    layers = _large_linear_layers(model)
    outliers = find_outliers(model, layers, token_ids) if has_dynamic_kernel() else {}
    for name, layer in layers.items():
        model.set_submodule(name, _quantize(layer, outliers.get(name)))


def prepack_linear_layers(model: nn.Module, dtype: torch.dtype) -> None:
    """Lay out the weights of linear layers once for oneDNN, where it can do that for ``dtype``."""
    if not can_prepack(dtype):
        return
    for name, layer in _large_linear_layers(model).items():
        if layer.weight.dtype == dtype:
            model.set_submodule(name, PrepackedLinear(layer))


def _large_linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and min(module.in_features, module.out_features) >= SMALLEST_SIDE
    }


def _quantize(layer: nn.Linear, outliers: Tensor | None) -> Int8Linear:
    rows = Int8Rows.of(layer)
    kernel = WeightOnlyKernel(rows) if outliers is None else DynamicKernel(rows, outliers)
    return Int8Linear(layer.in_features, layer.out_features, layer.bias, kernel)

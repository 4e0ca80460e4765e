"""Products of activations with 8-bit rows on a CPU, through torch's own kernels."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import torch
import torch.nn.functional as functional
from torch import Tensor

from inference.int8_rows import Int8Rows

FBGEMM = "fbgemm"
ACTIVATION_LEVELS = 63
ACTIVATION_ZERO = 64
"""Seven bits: without VNNI two products of 8 bits overflow the 16 bits that FBGEMM adds them in."""
SMALLEST_SCALE = 1e-30
ROWS_AT_ONCE = 8
"""MKL adds in another order in what is left of fewer rows, and rounding makes such a difference grow."""


class Int8Kernel(Protocol):
    def __call__(self, inputs: Tensor) -> Tensor:
        """``inputs`` float32 [rows, in] times the transposed weight: float32 [rows, out]."""
        ...


class WeightOnlyKernel:
    """Weights become bfloat16 on their way into the product; activations are bfloat16."""

    def __init__(self, rows: Int8Rows) -> None:
        self._values = rows.values
        self._scales = rows.scales.bfloat16()

    def __call__(self, inputs: Tensor) -> Tensor:
        return torch._weight_int8pack_mm(inputs.bfloat16(), self._values, self._scales).float()


class DynamicKernel:
    """Activations are rounded to integers too, each row by a scale of its own.

    The few columns in which activations are far larger than in the others would take all the
    resolution: like in LLM.int8, ``outliers`` (column indices, possibly none) are multiplied in floating
    point. They are the same for every row, so that no row depends on its neighbours.
    """

    def __init__(self, rows: Int8Rows, outliers: Tensor) -> None:
        values = rows.values.clone()
        values[:, outliers] = 0
        with _fbgemm():
            self._packed = torch.ops.quantized.linear_prepack(_as_quantized(values, rows.scales), None)
        self._outliers = outliers
        self._outlier_weight = rows.columns(outliers)
        self._ordinary = torch.ones(values.shape[1])
        self._ordinary[outliers] = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        ordinary = inputs * self._ordinary
        # Several times faster than the infinity norm.
        largest = ordinary.abs().amax(dim=1, keepdim=True).clamp_(min=SMALLEST_SCALE)
        product: Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            ordinary.div_(largest), 1 / ACTIVATION_LEVELS, ACTIVATION_ZERO, self._packed
        )
        return product.mul_(largest).add_(self._of_outliers(inputs))

    def _of_outliers(self, inputs: Tensor) -> Tensor:
        outliers = functional.pad(inputs[:, self._outliers], (0, 0, 0, -len(inputs) % ROWS_AT_ONCE))
        return (outliers @ self._outlier_weight)[: len(inputs)]


def has_dynamic_kernel() -> bool:
    """Whether this build of torch has FBGEMM, which is made for x86 only."""
    return FBGEMM in torch.backends.quantized.supported_engines


def _as_quantized(values: Tensor, scales: Tensor) -> Tensor:
    zeros = torch.zeros(len(scales), dtype=torch.long)
    # A scale of 0 belongs to a row of zeros, and torch refuses it.
    positive = scales.double().clamp(min=SMALLEST_SCALE)
    with warnings.catch_warnings():
        # torch means to drop such tensors some day, FBGEMM's packing takes nothing else; torch is pinned.
        warnings.filterwarnings("ignore", message="torch.quantize_per_tensor", category=UserWarning)
        return torch._make_per_channel_quantized_tensor(values, positive, zeros, 0)


@contextmanager
def _fbgemm() -> Iterator[None]:
    """Which of its libraries torch packs for is a global setting."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = FBGEMM
    try:
        yield
    finally:
        torch.backends.quantized.engine = before

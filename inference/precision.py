"""Which weights run fastest on this machine, measured on matrices of the model's own shapes."""

import operator
import platform
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from inference.catalog import ModelSpec
from inference.int8_kernels import DynamicKernel, WeightOnlyKernel, has_dynamic_kernel
from inference.int8_rows import Int8Rows
from inference.kernel_timing import one_thread, seconds_of
from inference.outliers import OUTLIER_COLUMNS
from inference.prepacked_linear import PrepackedLinear, can_prepack
from inference.remembered_choice import remembered_choice

BATCH_SIZES = (1, 16, 64)
LARGEST_SIDE = 2048
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "int8": torch.float32}
ALLOWED_BY_DTYPE = {"float32": ("fp32", "int8"), "bfloat16": ("bf16", "int8"), "float16": ("int8",)}


def choose_quantization(spec: ModelSpec, config: Any, device: torch.device, cache_dir: Path) -> str:
    """The quantization of ``spec``, with "auto" resolved: 8-bit on a GPU, on a CPU what measured best.

    Measuring takes a second, once: where two are about as fast, another start would choose another, and
    the same seed would give other tokens.
    """
    if spec.quantization != "auto":
        return spec.quantization
    if device.type != "cpu" or _is_saved_as_int8(config):
        return "int8"
    candidates = ALLOWED_BY_DTYPE.get(spec.dtype, tuple(DTYPES))
    if len(candidates) == 1:
        return candidates[0]
    shapes = _linear_shapes(config)
    circumstances = repr((_processor(), torch.__version__, sorted(shapes.items()), candidates))
    return remembered_choice(
        cache_dir / "quantization", circumstances, candidates, lambda: fastest(shapes, candidates)
    )


def _processor() -> tuple[str, ...]:
    """What decides how fast the kernels are."""
    capability = str(torch.backends.cpu.get_cpu_capability())
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return capability, platform.machine()
    return capability, next((line for line in lines if line.startswith("model name")), platform.machine())


def _is_saved_as_int8(config: Any) -> bool:
    saved = getattr(config, "quantization_config", None) or {}
    return bool(saved.get("load_in_8bit") if isinstance(saved, dict) else saved.load_in_8bit)


def fastest(shapes: Counter[tuple[int, int]], candidates: tuple[str, ...]) -> str:
    """The candidate that is least slower than the best over all ``shapes`` (out, in).

    Compared for one row, a small batch and a full one, each counting the same.
    """
    with one_thread():
        seconds = {name: _time_candidate(shapes, name) for name in candidates}
    best = [min(times) for times in zip(*seconds.values(), strict=True)]
    return min(seconds, key=lambda name: sum(map(operator.truediv, seconds[name], best)))


def _linear_shapes(config: Any) -> Counter[tuple[int, int]]:
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return Counter(
        (module.out_features, module.in_features)
        for module in model.modules()
        if isinstance(module, nn.Linear)
    )


@torch.inference_mode()
def _time_candidate(shapes: Counter[tuple[int, int]], name: str) -> list[float]:
    """Seconds that ``name`` takes for all ``shapes``, for each of the batch sizes."""
    seconds = [0.0] * len(BATCH_SIZES)
    for (rows, columns), count in shapes.items():
        side_rows, side_columns = min(rows, LARGEST_SIDE), min(columns, LARGEST_SIDE)
        scale = count * (rows / side_rows) * (columns / side_columns)
        multiply = _multiplication(torch.full((side_rows, side_columns), 0.01), name)
        for place, batch_size in enumerate(BATCH_SIZES):
            inputs = torch.full((batch_size, side_columns), 0.1, dtype=DTYPES[name])
            seconds[place] += scale * seconds_of(partial(multiply, inputs))
    return seconds


def _multiplication(weight: Tensor, name: str) -> Callable[[Tensor], Tensor]:
    if name == "int8":
        rows = Int8Rows.quantize(weight)
        if not has_dynamic_kernel():
            return WeightOnlyKernel(rows)
        return DynamicKernel(rows, torch.arange(min(OUTLIER_COLUMNS, weight.shape[1] // 4)))
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=DTYPES[name])
    return PrepackedLinear(layer) if can_prepack(DTYPES[name]) else layer

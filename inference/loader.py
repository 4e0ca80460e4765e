"""Loads a model of the catalogue, quantized as it says, ready for the engine."""

import ctypes
import logging
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig, PreTrainedModel
from transformers.utils import logging as transformers_logging

from inference.architecture import (
    check_packing,
    measure_layers,
    refuse_unsupported,
    refuse_unsupported_config,
)
from inference.attention import IMPLEMENTATION
from inference.cache import LayerShape
from inference.catalog import DTYPES_OF_PLAIN_WEIGHTS, ModelSpec
from inference.cpu_layers import prepack_linear_layers, quantize_linear_layers
from inference.errors import ModelLoadError
from inference.outliers import CALIBRATION_TEXT
from inference.packaged import find_packaged
from inference.packaged_weights import prepare_weights
from inference.precision import choose_quantization
from inference.prompts import PromptRenderer

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model in evaluation mode with what the engine needs to know about it.

    ``quantization`` and ``dtype`` are what was chosen, never "auto". ``layers`` is the shape of
    each attention layer's keys and values.
    """

    spec: ModelSpec
    model: PreTrainedModel
    renderer: PromptRenderer
    eos_token_ids: frozenset[int]
    quantization: str
    dtype: str
    revision: str | None
    vocab_size: int
    layers: Mapping[int, LayerShape]
    load_seconds: float

    @property
    def context_length(self) -> int:
        return self.spec.context_length

    @property
    def device(self) -> torch.device:
        device: torch.device = self.model.device
        return device


def load_model(spec: ModelSpec, cache_dir: Path, device: str | None = None) -> LoadedModel:
    """Load ``spec`` onto ``device`` (None: the GPU where there is one, else the CPU).

    Raises ModelLoadError with the reason: weights that can't be read, a model that the engine can't
    run, a context length beyond the model's, or a quantization that this machine lacks.
    """
    if spec.task != "generate":
        raise ModelLoadError(f"{spec.name} is an embedding model; the engine runs models that generate.")
    started = time.monotonic()
    target = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    use_available_cores()
    renderer = PromptRenderer.for_model(spec, cache_dir)
    packaged = find_packaged(spec.source)
    location = str(prepare_weights(cache_dir, packaged) if packaged else spec.source)
    revision = packaged.version if packaged else spec.revision
    where: dict[str, Any] = {"revision": spec.revision or "main", "local_files_only": Path(location).is_dir()}
    config = _read_config(spec, location, where)
    quantization = choose_quantization(spec, config, target, cache_dir)
    dtype = choose_dtype(spec, quantization, target)
    model = _read_weights(spec, location, where, quantization, dtype, target)
    refuse_unsupported(model)
    layers, expected = measure_layers(model)
    check_packing(model, layers, expected)
    if target.type == "cpu":
        _prepare_for_cpu(model, quantization, dtype, renderer)
    loaded = LoadedModel(
        spec=spec,
        model=model,
        renderer=renderer,
        eos_token_ids=renderer.eos_token_ids,
        quantization=quantization,
        dtype=str(dtype).removeprefix("torch."),
        revision=revision,
        vocab_size=model.get_input_embeddings().weight.shape[0],
        layers=layers,
        load_seconds=time.monotonic() - started,
    )
    _log(loaded)
    return loaded


def use_available_cores() -> None:
    """Let torch use the cores this process may run on, which in a container are fewer than there are.

    Unless OMP_NUM_THREADS says how many.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(
            len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        )


def _read_config(spec: ModelSpec, location: str, where: dict[str, Any]) -> Any:
    try:
        config = AutoConfig.from_pretrained(location, **where)
    except (OSError, ValueError, KeyError) as error:
        raise ModelLoadError(f"The configuration of {spec.source} can't be read: {error}") from error
    refuse_unsupported_config(config)
    longest = getattr(config.get_text_config(), "max_position_embeddings", None)
    if longest is not None and spec.context_length > longest:
        raise ModelLoadError(
            f"The context length of {spec.name} is {spec.context_length}; the model was made for {longest}."
        )
    return config


def choose_dtype(spec: ModelSpec, quantization: str, device: torch.device) -> torch.dtype:
    """What is computed in, with "auto" resolved."""
    name = DTYPES_OF_PLAIN_WEIGHTS.get(quantization, spec.dtype)
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" else "float32"
    dtype: torch.dtype = getattr(torch, name)
    return dtype


def _read_weights(
    spec: ModelSpec,
    location: str,
    where: dict[str, Any],
    quantization: str,
    dtype: torch.dtype,
    device: torch.device,
) -> PreTrainedModel:
    transformers_logging.disable_progress_bar()
    # A CPU has integer products of its own, see cpu_layers.py; weights saved as 8-bit come so anyway.
    ours = quantization == "int8" and device.type == "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(
            location,
            dtype=dtype,
            quantization_config=None if ours else quantization_config(quantization, dtype),
            device_map={"": device},
            **where,
        )
    except Exception as error:
        # transformers, bitsandbytes and safetensors raise anything here.
        raise ModelLoadError(f"{spec.source} can't be loaded as {quantization}: {error}") from error
    model.eval()
    return model


def _prepare_for_cpu(
    model: PreTrainedModel, quantization: str, dtype: torch.dtype, renderer: PromptRenderer
) -> None:
    if quantization == "int8":
        model.set_attn_implementation("sdpa")
        quantize_linear_layers(model, renderer.completion(CALIBRATION_TEXT))
        model.set_attn_implementation(IMPLEMENTATION)
    elif quantization in DTYPES_OF_PLAIN_WEIGHTS:
        prepack_linear_layers(model, dtype)
    _return_freed_memory()


def _return_freed_memory() -> None:
    """glibc would keep the memory of the weights that were replaced: as much again as a model."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def quantization_config(quantization: str, dtype: torch.dtype) -> BitsAndBytesConfig | None:
    """What transformers is to quantize by; None for plain weights."""
    if quantization == "int8":
        # It would say at every layer of every step that it rounds its input to half precision.
        logging.getLogger("bitsandbytes.autograd._functions").setLevel(logging.ERROR)
        return BitsAndBytesConfig(load_in_8bit=True)
    if quantization == "nf4":
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return None


def _log(loaded: LoadedModel) -> None:
    logger.info(
        "model loaded",
        extra={
            "action": "model_loaded",
            "model": loaded.spec.name,
            "quantization": loaded.quantization,
            "dtype": loaded.dtype,
            "device": str(loaded.device),
            "load_seconds": round(loaded.load_seconds, 3),
        },
    )

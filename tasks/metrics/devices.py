"""How busy a worker's hardware is: GPUs as NVIDIA's library tells, and the process's share of the CPU."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import psutil
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tasks.metrics import exposition
from tasks.metrics.families import worker as families
from tasks.metrics.family import Family
from tasks.metrics.readings import Reading, metrics_of

# Which GPUs CUDA shows to this process; without it, all.
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_CPU = "cpu"


class DeviceCollector(Collector):
    """``nvml`` is the library, where there is a GPU for it to look at."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._process = psutil.Process()
        self._cores = psutil.cpu_count() or 1
        # Said of the time since it was asked last.
        self._process.cpu_percent()

    def collect(self) -> Iterable[Metric]:
        return metrics_of([*self._cpu(), *self._gpus()])

    def _cpu(self) -> Iterator[Reading]:
        yield Reading(families.DEVICE_UTILIZATION, self._process.cpu_percent() / 100 / self._cores, (_CPU,))
        yield Reading(families.DEVICE_MEMORY_USED, self._process.memory_info().rss, (_CPU,))
        yield Reading(families.DEVICE_MEMORY_TOTAL, psutil.virtual_memory().total, (_CPU,))

    def _gpus(self) -> Iterator[Reading]:
        if self._nvml is None:
            return
        for index, handle in _visible(self._nvml, os.environ.get(_VISIBLE)):
            yield from _gpu(self._nvml, f"gpu{index}", handle)


def watch() -> None:
    """Tell of the hardware from now on."""
    exposition.add(_collector())


def find_nvml() -> Any:
    """NVIDIA's library, ready to be asked; None without it, or without a GPU."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


@cache
def _collector() -> DeviceCollector:
    return DeviceCollector(find_nvml())


def _visible(nvml: Any, listed: str | None) -> list[tuple[int, Any]]:
    """The index and the handle of each GPU that CUDA shows, as its variable lists them."""
    handles = [(index, nvml.nvmlDeviceGetHandleByIndex(index)) for index in range(nvml.nvmlDeviceGetCount())]
    if listed is None:
        return handles
    names = [name.strip() for name in listed.split(",") if name.strip()]
    return [
        (index, handle)
        for index, handle in handles
        if any(name == str(index) or _names(nvml, handle, name) for name in names)
    ]


def _names(nvml: Any, handle: Any, name: str) -> bool:
    """Whether it is the device's UUID, or the beginning of it."""
    return name.startswith("GPU-") and str(nvml.nvmlDeviceGetUUID(handle)).startswith(name)


def _gpu(nvml: Any, device: str, handle: Any) -> Iterator[Reading]:
    """What this GPU can tell: some have no power to tell of, slices of one no utilization."""
    asked: tuple[tuple[Family, Callable[[], float]], ...] = (
        (families.DEVICE_UTILIZATION, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100),
        (families.DEVICE_MEMORY_USED, lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used),
        (families.DEVICE_MEMORY_TOTAL, lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total),
        (families.DEVICE_POWER, lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000),
    )
    for family, ask in asked:
        with suppress(nvml.NVMLError):
            yield Reading(family, ask(), (device,))

"""Hardware as NVIDIA's library tells of it, played by a library of our own."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client import generate_latest

from tasks.metrics.devices import DeviceCollector
from tests.unit.tasks.metrics.samples import Page


class NVMLError(Exception):
    """As the library's."""


@dataclass
class Nvml:
    """Two GPUs, of which the second knows nothing of its power."""

    NVMLError = NVMLError

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetUUID(self, handle: int) -> str:
        return f"GPU-{handle}abc-def"

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:
        return SimpleNamespace(gpu=40 + handle)

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:
        return SimpleNamespace(used=1000 + handle, total=4000)

    def nvmlDeviceGetPowerUsage(self, handle: int) -> int:
        if handle:
            raise NVMLError("Not Supported")
        return 250_500


@pytest.fixture(autouse=True)
def all_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def read(nvml: Any) -> Page:
    return Page.parse(generate_latest(DeviceCollector(nvml)).decode())


def test_cpu_is_what_the_process_takes_of_it() -> None:
    found = read(None)
    assert found.labels_of("device_utilization_ratio", "device") == {"cpu"}
    assert 0 <= found.of("device_utilization_ratio", device="cpu") <= 1
    used, total = (found.of(f"device_memory_{name}_bytes", device="cpu") for name in ("used", "total"))
    assert 0 < used < total


def test_each_gpu_tells_what_it_can() -> None:
    found = read(Nvml())
    assert found.of("device_utilization_ratio", device="gpu1") == 0.41
    assert found.of("device_memory_used_bytes", device="gpu0") == 1000
    assert found.of("device_memory_total_bytes", device="gpu1") == 4000
    assert found.of("device_power_watts", device="gpu0") == 250.5
    assert not found.has("device_power_watts", device="gpu1")


@pytest.mark.parametrize(
    ("listed", "visible"),
    [("1", {"gpu1"}), ("GPU-0abc", {"gpu0"}), ("", set()), ("1,0", {"gpu0", "gpu1"}), ("-1", set())],
)
def test_gpus_that_cuda_hides_from_the_process_are_others(
    listed: str, visible: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert read(Nvml()).labels_of("device_utilization_ratio", "device") - {"cpu"} == visible

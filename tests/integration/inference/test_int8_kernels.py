"""8-bit linear layers on the CPU against plain products of the same rows."""

import bitsandbytes
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from inference.cpu_layers import prepack_linear_layers, quantize_linear_layers
from inference.int8_kernels import DynamicKernel, Int8Kernel, WeightOnlyKernel, has_dynamic_kernel
from inference.int8_linear import Int8Linear
from inference.int8_rows import Int8Rows
from inference.outliers import find_outliers

NO_OUTLIERS = torch.tensor([], dtype=torch.long)
dynamic = pytest.mark.skipif(not has_dynamic_kernel(), reason="FBGEMM is made for x86")


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def relative_error(computed: Tensor, expected: Tensor) -> float:
    return float((computed - expected).norm() / expected.norm())


def plain(rows: Int8Rows, inputs: Tensor) -> Tensor:
    return inputs @ (rows.values.float() * rows.scales[:, None]).T


def test_rows_are_those_of_bitsandbytes() -> None:
    layer = nn.Linear(96, 80, bias=False)
    theirs = bitsandbytes.nn.Linear8bitLt(96, 80, bias=False, has_fp16_weights=False)
    theirs.weight = bitsandbytes.nn.Int8Params(
        layer.weight.detach().clone(), requires_grad=False, has_fp16_weights=False
    )
    taken, ours = Int8Rows.of(theirs.to("cpu")), Int8Rows.of(layer)
    assert (taken.values.int() - ours.values.int()).abs().max() <= 1
    assert torch.allclose(taken.scales, ours.scales, rtol=1e-2)
    assert relative_error(plain(taken, noise(8, 96)), plain(ours, noise(8, 96))) < 0.01


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
@settings(deadline=None, max_examples=25)
def test_a_rounded_weight_is_within_half_a_step_of_itself(out: int, columns: int, seed: int) -> None:
    weight = noise(out, columns, seed=seed) * 10 ** (seed % 7 - 3)
    rows = Int8Rows.quantize(weight)
    restored = rows.values.float() * rows.scales[:, None]
    assert bool(((restored - weight).abs() <= rows.scales[:, None] * 0.501).all())


@pytest.mark.parametrize("batch", [1, 3, 64])
@pytest.mark.parametrize(
    ("make", "tolerance"),
    [
        (lambda rows: WeightOnlyKernel(rows), 0.01),
        pytest.param(lambda rows: DynamicKernel(rows, NO_OUTLIERS), 0.025, marks=dynamic),
        pytest.param(lambda rows: DynamicKernel(rows, torch.tensor([3, 70])), 0.025, marks=dynamic),
    ],
)
def test_a_kernel_multiplies(make: type[Int8Kernel], tolerance: float, batch: int) -> None:
    rows = Int8Rows.quantize(noise(160, 96))
    inputs = noise(batch, 96, seed=batch)
    assert relative_error(make(rows)(inputs), plain(rows, inputs)) < tolerance  # type: ignore[call-arg]


@dynamic
def test_outlier_columns_do_not_take_the_resolution_of_the_others() -> None:
    rows = Int8Rows.quantize(noise(160, 96))
    inputs = noise(16, 96)
    inputs[:, 5] *= 300
    spared = inputs.clone()
    spared[:, 5] = 0

    def error(outliers: Tensor) -> float:
        computed = DynamicKernel(rows, outliers)(inputs) - DynamicKernel(rows, outliers)(inputs - spared)
        return relative_error(computed, plain(rows, spared))

    assert error(torch.tensor([5])) < 0.025
    assert error(NO_OUTLIERS) > 0.2


@dynamic
def test_a_row_does_not_depend_on_its_neighbours() -> None:
    kernel = DynamicKernel(Int8Rows.quantize(noise(160, 96)), torch.tensor([1, 2]))
    inputs = noise(64, 96)
    loud = inputs.clone()
    loud[1:] *= 1000
    assert torch.equal(kernel(inputs)[0], kernel(loud)[0])


@dynamic
@pytest.mark.parametrize("batch", [1, 2, 3, 5, 8, 11, 40])
def test_a_row_is_the_same_in_a_batch_of_any_size(batch: int) -> None:
    kernel = DynamicKernel(Int8Rows.quantize(noise(160, 96)), torch.tensor([1, 2, 50]))
    inputs = noise(64, 96)
    assert torch.equal(kernel(inputs[:batch]), kernel(inputs)[:batch])


@dynamic
def test_large_weights_do_not_overflow_the_kernel() -> None:
    rows = Int8Rows.quantize(torch.ones(64, 256))
    inputs = torch.ones(4, 256)
    assert torch.allclose(DynamicKernel(rows, NO_OUTLIERS)(inputs), plain(rows, inputs), rtol=1e-3)


@dynamic
def test_rows_of_zeros_and_of_nan_stay_what_they_are() -> None:
    kernel = DynamicKernel(Int8Rows.quantize(noise(160, 96)), torch.tensor([7]))
    inputs = noise(3, 96)
    inputs[0] = 0
    inputs[1, 4] = float("nan")
    product = kernel(inputs)
    assert bool((product[0] == 0).all())
    assert bool(product[1].isnan().all())
    assert bool(product[2].isfinite().all())


def test_a_weight_with_a_row_of_zeros_is_quantized() -> None:
    weight = noise(64, 96)
    weight[3] = 0
    layer = nn.Linear(96, 64, bias=False)
    layer.weight = nn.Parameter(weight)
    rows = Int8Rows.of(layer)
    kernel = DynamicKernel(rows, NO_OUTLIERS) if has_dynamic_kernel() else WeightOnlyKernel(rows)
    assert bool((kernel(noise(2, 96))[:, 3] == 0).all())


class TwoLayers(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 96)
        self.first = nn.Linear(96, 128)
        self.router = nn.Linear(128, 4)
        self.last = nn.Linear(128, 96, bias=False)

    def forward(self, input_ids: Tensor, use_cache: bool = False) -> Tensor:
        hidden = self.first(self.embedding(input_ids)).relu()
        out: Tensor = self.last(hidden * self.router(hidden).sigmoid().mean(-1, keepdim=True))
        return out


@pytest.fixture
def two_layers() -> TwoLayers:
    torch.manual_seed(3)
    return TwoLayers().eval()


@torch.inference_mode()
def test_large_linear_layers_are_quantized_and_small_ones_left(two_layers: TwoLayers) -> None:
    tokens = torch.arange(20)[None]
    expected = two_layers(tokens)
    quantize_linear_layers(two_layers, range(40))
    assert isinstance(two_layers.first, Int8Linear)
    assert isinstance(two_layers.last, Int8Linear)
    assert isinstance(two_layers.router, nn.Linear)
    assert relative_error(two_layers(tokens), expected) < 0.05
    assert relative_error(two_layers(tokens[:, :1]), expected[:, :1]) < 0.05


def test_the_columns_with_large_inputs_are_the_outliers(two_layers: TwoLayers) -> None:
    with torch.no_grad():
        two_layers.embedding.weight[:, [11, 60]] *= 50
    found = find_outliers(two_layers, {"first": two_layers.first}, range(30))["first"]
    assert {11, 60} <= set(found.tolist())


@torch.inference_mode()
@pytest.mark.parametrize("batch", [1, 5, 100])
def test_a_prepacked_layer_computes_what_the_plain_one_does(two_layers: TwoLayers, batch: int) -> None:
    tokens = (torch.arange(batch) % 50)[None]
    expected = two_layers(tokens)
    prepack_linear_layers(two_layers, torch.float32)
    assert torch.allclose(two_layers(tokens), expected, atol=1e-5)


@torch.inference_mode()
def test_a_dtype_that_can_not_be_prepacked_is_left_alone(
    two_layers: TwoLayers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object) -> bool:
        return False

    monkeypatch.setattr("inference.cpu_layers.can_prepack", refuse)
    prepack_linear_layers(two_layers, torch.bfloat16)
    assert type(two_layers.first) is nn.Linear

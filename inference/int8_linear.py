"""A linear layer over 8-bit rows, for the CPU."""

from torch import Tensor, nn

from inference.int8_kernels import Int8Kernel


class Int8Linear(nn.Module):
    """Multiplies by one kernel, however many rows there are.

    Another kernel might be faster for a single row, but rounds otherwise: a token would then depend on
    what else is in its batch.
    """

    def __init__(self, in_features: int, out_features: int, bias: Tensor | None, kernel: Int8Kernel) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self._bias = None if bias is None else bias.detach().float()
        self._kernel = kernel

    def forward(self, inputs: Tensor) -> Tensor:
        """``inputs`` [..., in] to [..., out], in the dtype of the inputs."""
        rows = inputs.reshape(-1, self.in_features).float()
        product = self._kernel(rows)
        if self._bias is not None:
            product += self._bias
        return product.to(inputs.dtype).view(*inputs.shape[:-1], self.out_features)

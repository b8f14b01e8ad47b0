"""A 3D convolution that trains faster on a CPU and gives the same numbers."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LARGE = 2**20  # weights of a layer; below, little is won, and few channels give other last bits


class _Convolution(torch.autograd.Function):
    """Backward, the gradient of the weights is computed with channels first.

    With channels last PyTorch would copy it between layouts four times as long as it computes.
    """

    @staticmethod
    def forward(
        ctx: Any, x_BCTHW: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any
    ) -> Tensor:
        ctx.save_for_backward(x_BCTHW, weight)
        ctx.settings = list(stride), list(padding), list(dilation)
        return torch.conv3d(x_BCTHW, weight, None, stride, padding, dilation)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        rest = (None, *ctx.settings, False, [0, 0, 0], 1)
        backward = torch.ops.aten.convolution_backward
        of_x = of_weight = None
        if ctx.needs_input_grad[0]:
            of_x = backward(gradient, x, weight, *rest, (True, False, False))[0]
        if ctx.needs_input_grad[1]:
            shape = torch.empty(weight.shape)  # its numbers are not read, nor is memory touched
            of_weight = backward(
                gradient.contiguous(), x.contiguous(), shape, *rest, (False, True, False)
            )[1].contiguous(memory_format=torch.channels_last_3d)
        return of_x, of_weight, None, None, None


class Conv3d(nn.Conv3d):
    """``nn.Conv3d`` that trains large kernels faster where they are channels last on a CPU.

    Without a bias, groups, or padding but by zeros. The gradient can't be differentiated again
    while the layer is in training mode.

    Shape:
        (B, C, T, H, W) -> (B, C', T', H', W'), as ``nn.Conv3d``.
    """

    def forward(self, x_BCTHW: Tensor) -> Tensor:
        """Convolve."""
        weight = self.weight
        if (
            self.training
            and torch.is_grad_enabled()
            and weight.requires_grad
            and weight.numel() >= LARGE
            and weight.dtype == x_BCTHW.dtype == torch.float32
            and weight.device.type == "cpu"
            and not torch.is_autocast_enabled("cpu")
            and not torch.compiler.is_compiling()
            and weight.is_contiguous(memory_format=torch.channels_last_3d)
            and self.bias is None
            and self.groups == 1
            and self.padding_mode == "zeros"
        ):
            out = _Convolution.apply(x_BCTHW, weight, self.stride, self.padding, self.dilation)
            return torch.as_tensor(out)
        return super().forward(x_BCTHW)

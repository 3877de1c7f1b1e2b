"""UFPNet's flow-based prior of motion kernels, run inverse: a latent code becomes a blur kernel (key `flow`)."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from .kernel_estimator import KERNEL_TAPS


class MaskedCoupling(nn.Module):
    """Affine coupling: half of the taps pass, the others are scaled and shifted by what follows from them.

    `mask` is a buffer of the published checkpoints: 1 at the taps that pass, every second one.
    """

    mask: Tensor

    def __init__(self, mask: Tensor, hidden: int) -> None:
        super().__init__()
        self.register_buffer('mask', mask)
        self.s_net = self._net(len(mask), hidden, nn.Tanh)
        self.t_net = self._net(len(mask), hidden, nn.ReLU)

    @staticmethod
    def _net(length: int, hidden: int, activation: type[nn.Module]) -> nn.Sequential:
        return nn.Sequential(
            nn.Linear(length, hidden), activation(), nn.Linear(hidden, hidden), activation(), nn.Linear(hidden, length)
        )

    def inverse(self, x: Tensor) -> Tensor:
        """(..., 361) -> (..., 361)."""
        passed = self.mask * x
        changed = x * self.s_net(passed).exp() + self.t_net(passed)
        return passed + (1 - self.mask) * changed


class FlowBatchNorm(nn.Module):
    """Batch norm with running statistics, of which only the inverse is needed."""

    EPS = 1e-5
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.log_gamma = nn.Parameter(torch.zeros(length))
        self.beta = nn.Parameter(torch.zeros(length))
        self.register_buffer('running_mean', torch.zeros(length))
        self.register_buffer('running_var', torch.ones(length))

    def inverse(self, x: Tensor) -> Tensor:
        """(..., 361) -> (..., 361)."""
        return (x - self.beta) * torch.exp(-self.log_gamma) * (self.running_var + self.EPS).sqrt() + self.running_mean


class FlowPrior(nn.Module):
    """Kernel of every pixel from its code. It runs without gradient alone; in less time: ``lean/flow_prior.py``.

    Attribute names are the keys of the published UFPNet checkpoints. `alpha` and `normalization`
    are buffers of theirs with these values.
    """

    alpha: Tensor
    normalization: Tensor

    def __init__(self, *, steps: int = 5, hidden: int = 25) -> None:
        super().__init__()
        self.register_buffer('alpha', torch.full((1,), 1e-6))
        self.register_buffer('normalization', torch.ones(1))
        layers: list[nn.Module] = []
        for step in range(steps):
            # The odd taps first. Not by arange: on the meta device that imports torch's compiler, 2 s and 150 MB.
            mask = torch.tensor([float((tap + step) % 2) for tap in range(KERNEL_TAPS)])
            layers += [MaskedCoupling(mask, hidden), FlowBatchNorm(KERNEL_TAPS)]
        self.net = nn.ModuleList(layers)

    def forward(self, code: Tensor) -> Tensor:
        """(B, 361, H, W) -> (B, 361, H, W), a kernel of non-negative taps per pixel."""
        x = rearrange(code, 'b tap h w -> b h w tap')
        layer: Any  # MaskedCoupling and FlowBatchNorm in turn
        for layer in reversed(self.net):
            x = layer.inverse(x)
        x = (x.sigmoid() - self.alpha) / (1 - 2 * self.alpha) * self.normalization
        return rearrange(x, 'b h w tap -> b tap h w')

"""UFPNet's flow-based prior of motion kernels, run inverse: a latent code becomes a blur kernel (key `flow`)."""

import torch
from torch import Tensor, nn

from .kernel_estimator import KERNEL_TAPS

PIXELS_AT_ONCE = 1 << 16  # bounds the intermediate results to some 100 MB each


class _MaskedCoupling(nn.Module):
    """Affine coupling: the entries with mask 1 pass, the others are scaled and shifted by them."""

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

    def inverse(self, u: Tensor) -> Tensor:
        passed = self.mask * u
        return passed + (1 - self.mask) * (u * self.s_net(passed).exp() + self.t_net(passed))


class _FlowBatchNorm(nn.Module):
    """Batch norm with running statistics, of which only the inverse is needed."""

    EPS = 1e-5

    def __init__(self, length: int) -> None:
        super().__init__()
        self.log_gamma = nn.Parameter(torch.zeros(length))
        self.beta = nn.Parameter(torch.zeros(length))
        self.register_buffer('running_mean', torch.zeros(length))
        self.register_buffer('running_var', torch.ones(length))

    def inverse(self, y: Tensor) -> Tensor:
        scale = torch.exp(-self.log_gamma) * (self.running_var + self.EPS).sqrt()
        return (y - self.beta) * scale + self.running_mean


class FlowPrior(nn.Module):
    """Kernel of every pixel from its code.

    Attribute names are the keys of the published UFPNet checkpoints. `alpha` and `normalization`
    are buffers of theirs with these values.
    """

    def __init__(self, *, steps: int = 5, hidden: int = 25) -> None:
        super().__init__()
        self.register_buffer('alpha', torch.full((1,), 1e-6))
        self.register_buffer('normalization', torch.ones(1))
        mask = torch.arange(KERNEL_TAPS).remainder(2).float()
        layers = []
        for _ in range(steps):
            layers += [_MaskedCoupling(mask.clone(), hidden), _FlowBatchNorm(KERNEL_TAPS)]
            mask = 1 - mask
        self.net = nn.ModuleList(layers)

    def forward(self, code: Tensor) -> Tensor:
        """(B, 361, H, W) -> (B, 361, H, W), a kernel of non-negative taps per pixel."""
        batch, taps, height, width = code.shape
        pixels = code.permute(0, 2, 3, 1).reshape(-1, taps)
        kernels = torch.empty_like(pixels)
        for start in range(0, len(pixels), PIXELS_AT_ONCE):
            stop = start + PIXELS_AT_ONCE
            kernels[start:stop] = self._invert(pixels[start:stop])
        return kernels.reshape(batch, height, width, taps).permute(0, 3, 1, 2)

    def _invert(self, x: Tensor) -> Tensor:
        for layer in reversed(self.net):
            x = layer.inverse(x)
        return (x.sigmoid() - self.alpha) / (1 - 2 * self.alpha) * self.normalization

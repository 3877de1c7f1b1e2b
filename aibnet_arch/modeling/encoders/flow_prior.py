"""UFPNet's flow-based prior of motion kernels, run inverse: a latent code becomes a blur kernel (key `flow`).

The 361 taps of a pixel are kept in two halves, the even and the odd ones: each affine coupling passes
one of them and changes the other, so nothing is computed of what its mask removes.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .kernel_estimator import KERNEL_TAPS

PIXELS_AT_ONCE = 1 << 16  # bounds the intermediate results to some 100 MB where the map comes as a whole


class _Affine(NamedTuple):
    """y -> scale y + shift, for the taps of one half."""

    scale: Tensor
    shift: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        return torch.addcmul(self.shift, y, self.scale)


class _MaskedCoupling(nn.Module):
    """Affine coupling: one half of the taps passes, the other is scaled and shifted by what follows from it.

    `mask` is a buffer of the published checkpoints: 1 at the taps that pass, every second one.
    """

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

    def inverse(self, passed: Tensor, changed: Tensor, *, half: int, then: _Affine) -> Tensor:
        """The half that changes, after the coupling and then `then`, whose scale is positive.

        Args:
            passed, changed: the two halves, (pixels, 180 or 181).
            half: 0 if the even taps change, 1 if the odd ones do.
        """
        log_scale = self._run(self.s_net, passed, half, torch.ones_like(then.scale), then.scale.log())
        shift = self._run(self.t_net, passed, half, then.scale, then.shift)
        return torch.addcmul(shift, log_scale.exp(), changed)

    @staticmethod
    def _run(net: nn.Sequential, passed: Tensor, half: int, scale: Tensor, shift: Tensor) -> Tensor:
        """scale net(passed) + shift for the taps of `half`; the constants go into the last layer."""
        first, activation, second, _, last = net
        x = activation(F.linear(passed, first.weight[:, 1 - half :: 2], first.bias))
        x = activation(second(x))
        return F.linear(x, last.weight[half::2] * scale[:, None], last.bias[half::2] * scale + shift)


class _FlowBatchNorm(nn.Module):
    """Batch norm with running statistics, of which only the inverse is needed."""

    EPS = 1e-5

    def __init__(self, length: int) -> None:
        super().__init__()
        self.log_gamma = nn.Parameter(torch.zeros(length))
        self.beta = nn.Parameter(torch.zeros(length))
        self.register_buffer('running_mean', torch.zeros(length))
        self.register_buffer('running_var', torch.ones(length))

    def inverse(self, half: int) -> _Affine:
        """For the even (0) or the odd (1) taps."""
        scale = torch.exp(-self.log_gamma) * (self.running_var + self.EPS).sqrt()
        return _Affine(scale[half::2], (self.running_mean - self.beta * scale)[half::2])


class FlowPrior(nn.Module):
    """Kernel of every pixel from its code. It runs without gradient alone.

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
        if torch.jit.is_tracing():
            kernels = self._traced(pixels)
        else:
            kernels = torch.empty_like(pixels)
            for some, result in zip(pixels.split(PIXELS_AT_ONCE), kernels.split(PIXELS_AT_ONCE)):
                for half, values in enumerate(self._invert([some[:, 0::2], some[:, 1::2]])):
                    result[:, half::2] = values
        return kernels.reshape(batch, height, width, taps).permute(0, 3, 1, 2)

    def _traced(self, pixels: Tensor) -> Tensor:
        """All pixels at once, and the halves joined: ONNX would list the place of each value that is written."""
        taps = torch.arange(KERNEL_TAPS)
        place = taps // 2 + taps % 2 * (KERNEL_TAPS - KERNEL_TAPS // 2)
        return torch.cat(self._invert([pixels[:, 0::2], pixels[:, 1::2]]), dim=1)[:, place]

    def _invert(self, halves: list[Tensor]) -> list[Tensor]:
        """Undo coupling and batch norm, the last first. A half that passes has its batch norm behind it already."""
        couplings, norms = self.net[0::2], self.net[1::2]
        last = len(couplings) - 1
        passed = 1 - last % 2
        halves[passed] = norms[last].inverse(passed)(halves[passed])
        for step in range(last, -1, -1):
            half = step % 2  # the first mask passes the odd taps
            changed = norms[step].inverse(half)(halves[half])
            # It passes through the coupling before, right after that one's batch norm.
            then = norms[step - 1].inverse(half) if step else self._nothing(changed)
            halves[half] = couplings[step].inverse(halves[1 - half], changed, half=half, then=then)
        gain = self.normalization / (1 - 2 * self.alpha)
        return [_Affine(gain, -self.alpha * gain)(half.sigmoid_()) for half in halves]

    @staticmethod
    def _nothing(like: Tensor) -> _Affine:
        return _Affine(like.new_ones(like.shape[1]), like.new_zeros(like.shape[1]))

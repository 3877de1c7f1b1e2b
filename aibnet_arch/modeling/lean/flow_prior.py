"""UFPNet's flow prior in less time.

The 361 taps of a pixel are kept in two halves, the even and the odd ones: each affine coupling passes
one of them and changes the other, so nothing is computed of what its mask removes.
"""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ..encoders.flow_prior import FlowBatchNorm, FlowPrior, MaskedCoupling

PIXELS_AT_ONCE = 1 << 16  # bounds the intermediate results to some 100 MB where the map comes as a whole


class _Affine(NamedTuple):
    """y -> scale y + shift, for the taps of one half."""

    scale: Tensor
    shift: Tensor

    def __call__(self, y: Tensor) -> Tensor:
        return torch.addcmul(self.shift, y, self.scale)


def flow_prior(flow: FlowPrior, code: Tensor) -> Tensor:
    """``flow(code)``: (B, 361, H, W) -> (B, 361, H, W)."""
    batch, taps, height, width = code.shape
    pixels = code.permute(0, 2, 3, 1).reshape(-1, taps)
    kernels = torch.empty_like(pixels)
    for some, result in zip(pixels.split(PIXELS_AT_ONCE), kernels.split(PIXELS_AT_ONCE)):
        for half, values in enumerate(_inverted(flow, [some[:, 0::2], some[:, 1::2]])):
            result[:, half::2] = values
    return kernels.reshape(batch, height, width, taps).permute(0, 3, 1, 2)


def _inverted(flow: FlowPrior, halves: list[Tensor]) -> list[Tensor]:
    """Undo coupling and batch norm, the last first. A half that passes has its batch norm behind it already."""
    couplings: Any = flow.net[0::2]
    norms: Any = flow.net[1::2]
    last = len(couplings) - 1
    passed = 1 - last % 2
    halves[passed] = _undone(norms[last], passed)(halves[passed])
    for step in range(last, -1, -1):
        half = step % 2  # the first mask passes the odd taps
        changed = _undone(norms[step], half)(halves[half])
        # It passes through the coupling before, right after that one's batch norm.
        then = _undone(norms[step - 1], half) if step else _nothing(changed)
        halves[half] = _change(couplings[step], halves[1 - half], changed, half=half, then=then)
    gain = flow.normalization / (1 - 2 * flow.alpha)
    return [_Affine(gain, -flow.alpha * gain)(half.sigmoid_()) for half in halves]


def _undone(norm: FlowBatchNorm, half: int) -> _Affine:
    """The batch norm's inverse for the even (0) or the odd (1) taps."""
    scale = torch.exp(-norm.log_gamma) * (norm.running_var + norm.EPS).sqrt()
    return _Affine(scale[half::2], (norm.running_mean - norm.beta * scale)[half::2])


def _nothing(like: Tensor) -> _Affine:
    return _Affine(like.new_ones(like.shape[1]), like.new_zeros(like.shape[1]))


def _change(coupling: MaskedCoupling, passed: Tensor, changed: Tensor, *, half: int, then: _Affine) -> Tensor:
    """The half that changes, after the coupling and then `then`, whose scale is positive.

    Args:
        passed, changed: the two halves, (pixels, 180 or 181).
        half: 0 if the even taps change, 1 if the odd ones do.
    """
    log_scale = _net(coupling.s_net, passed, half, torch.ones_like(then.scale), then.scale.log())
    shift = _net(coupling.t_net, passed, half, then.scale, then.shift)
    return torch.addcmul(shift, log_scale.exp(), changed)


def _net(net: Any, passed: Tensor, half: int, scale: Tensor, shift: Tensor) -> Tensor:
    """scale net(passed) + shift for the taps of `half`; the constants go into the last layer."""
    first, activation, second, _, last = net
    x = activation(F.linear(passed, first.weight[:, 1 - half :: 2], first.bias))
    x = activation(second(x))
    return F.linear(x, last.weight[half::2] * scale[:, None], last.bias[half::2] * scale + shift)

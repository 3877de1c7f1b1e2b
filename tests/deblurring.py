"""What the tests of `basicsr deblur` share: tiny networks as files of weights."""

from pathlib import Path

import torch

from aibnet_arch import AIBNet

TINY = {'encoder': 'nafnet', 'width': 8, 'encoder_blocks': [1, 1, 1, 1], 'blocks_per_level': 1, 'freeze_encoder': False}


def network(*, changes: bool = True, **arguments) -> AIBNet:
    """A tiny network, whose output is its input unless it `changes` it."""
    torch.manual_seed(0)
    net = AIBNet(**{**TINY, **arguments})
    if changes:
        with torch.no_grad():
            for sub_decoder in net.sub_decoders:
                sub_decoder.to_residual.weight.normal_(std=0.05)
    return net.eval()


def save(net: AIBNet, path: Path, **entries) -> Path:
    torch.save({'params': net.state_dict(), **entries}, path)
    return path

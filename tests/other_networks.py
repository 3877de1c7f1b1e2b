"""Small networks of others, with random weights, in the layouts that they were published in."""

import importlib
from pathlib import Path

import torch
from torch import nn

_EXTRA, _MAIN = 'spandrel_extra_arches.architectures', 'spandrel.architectures'
# Where the class is, and small arguments for it.
SMALL = {
    'NAFNet': (
        f'{_MAIN}.NAFNet:NAFNet',
        {'width': 8, 'enc_blk_nums': [1, 2], 'middle_blk_num': 1, 'dec_blk_nums': [1, 1]},
    ),
    'Restormer': (
        f'{_EXTRA}.Restormer:Restormer',
        {'dim': 8, 'num_blocks': [1, 1, 1, 1], 'num_refinement_blocks': 1, 'heads': [1, 2, 1, 1]},
    ),
    'MPRNet': (f'{_EXTRA}.MPRNet:MPRNet', {'n_feat': 8, 'scale_unetfeats': 4, 'scale_orsnetfeats': 4, 'num_cab': 2}),
    'Uformer': (
        f'{_MAIN}.Uformer:Uformer',
        {'embed_dim': 8, 'depths': [1] * 9, 'num_heads': [1] * 9, 'modulator': True},
    ),
    'FFTformer': (f'{_MAIN}.FFTformer:FFTformer', {'dim': 8, 'num_blocks': [1, 1, 1], 'num_refinement_blocks': 1}),
    'M3SNet': (
        f'{_EXTRA}.M3SNet:M3SNet',
        {'width': 8, 'enc_blk_nums': [1, 1, 1, 1], 'middle_blk_num': 1, 'dec_blk_nums': [1, 1, 1, 1]},
    ),
    # Its blocks have all names of NAFNet's, and more.
    'KBNet': (
        f'{_MAIN}.KBNet.__arch.kbnet_s:KBNet_s',
        {'width': 8, 'enc_blk_nums': [1, 1], 'middle_blk_num': 1, 'dec_blk_nums': [1, 1]},
    ),
}


def other_network(name: str) -> nn.Module:
    """One of them, whose output differs from its input."""
    place, arguments = SMALL[name]
    module, _, cls = place.partition(':')
    torch.manual_seed(0)
    net = getattr(importlib.import_module(module), cls)(**arguments)
    for key, parameter in net.named_parameters():
        if key.endswith(('beta', 'gamma')):  # zero at the start: such a block gives its input back
            nn.init.normal_(parameter, std=0.3)
    return net.eval()


def save_other(name: str, path: Path) -> Path:
    torch.save({'params': other_network(name).state_dict()}, path)
    return path

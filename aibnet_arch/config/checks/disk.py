"""How much of a disk the checkpoints of a training take, and whether it is there."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import torch
from torch import nn

from ...modeling import AIBNet
from ..problems import Problem, problem
from ..schema.run import KEEP

AT_LEAST = 3  # checkpoints: one that is whole, one that is being written, and the latest networks
# Tensors of a parameter's size that an optimizer keeps for each; a state of others is taken for Adam's.
_MOMENTS = {'SGD': 1, 'RMSprop': 2, 'ASGD': 1}


@dataclass(frozen=True)
class DiskUse:
    """What the checkpoints of a run take.

    Attributes:
        each: bytes of a checkpoint at its largest: networks, averaged ones, state of the optimizer.
        count: checkpoints that are kept at a time, at most.
        free: bytes that are free where they go.
    """

    each: int
    count: int
    free: int
    folder: Path

    def __str__(self) -> str:
        most = _bytes(self.each * self.count)
        return (
            f'disk: {_bytes(self.each)} a checkpoint, at most {self.count:,d} at a time: {most}; '
            f'{_bytes(self.free)} are free in {self.folder}'
        )


def disk_use(opt: Mapping[str, Any], networks: Mapping[str, nn.Module]) -> Optional[DiskUse]:
    """What a training takes; None if its options do not tell.

    Args:
        opt: the options without what is wrong; `train`, `logger` and `path` are looked at.
        networks: key of the options to network, perhaps on the meta device.
    """
    train, logger = opt.get('train'), opt.get('logger')
    if not train or not logger or not networks or 'total_iter' not in train or 'save_checkpoint_freq' not in logger:
        return None
    each = 0
    for key, network in networks.items():
        name = key.removeprefix('network_')
        saved = [value for value in network.state_dict().values() if isinstance(value, torch.Tensor)]
        whole = sum(value.numel() * value.element_size() for value in saved)
        copies = 2 if name == 'g' and train.get('ema_decay') else 1
        options = train.get(f'optim_{name}') or {}
        moments = _MOMENTS.get(options.get('type', ''), 2) + bool(options.get('amsgrad'))
        each += copies * whole + moments * _largest_trained(network, train)
    written = int(train['total_iter']) // logger['save_checkpoint_freq']
    keep = logger.get('keep_checkpoints', KEEP)
    metrics = len((opt.get('val') or {}).get('metrics') or {})
    sets = sum(phase.startswith('val') for phase in opt['datasets'])
    stages = len(train.get('stage_iter') or [0])
    count = written if keep is None else min(written, keep + 1 + metrics * sets + stages)
    folder = Path(os.path.expanduser(opt['path'].get('experiments_root') or 'experiments')).absolute()
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    return DiskUse(each=each, count=max(count, 1), free=shutil.disk_usage(there).free, folder=there)


def check_disk(use: Optional[DiskUse]) -> Iterator[Problem]:
    """A problem if the disk could not hold the fewest checkpoints that a run needs."""
    if use and use.free < AT_LEAST * use.each:
        text = (
            f'{_bytes(use.free)} are free in {use.folder}, too little for {AT_LEAST} checkpoints of {_bytes(use.each)}'
        )
        yield problem('path.experiments_root', text, ': make room, or set it to a folder on another disk', spoils=())


def _largest_trained(network: nn.Module, train: Mapping[str, Any]) -> int:
    """Bytes of the parameters that train, in the stage that has the most of them."""
    if not isinstance(network, AIBNet):
        return _trained(network)
    former = network.stage
    direct = train.get('strategy') == 'direct'
    sizes = []
    for stage in [None] if direct else range(1, len(network.sub_decoders) + 1):
        network.set_stage(stage)
        sizes.append(_trained(network))
    network.set_stage(former)
    return max(sizes)


def _trained(network: nn.Module) -> int:
    return sum(each.numel() * each.element_size() for each in network.parameters() if each.requires_grad)


def _bytes(count: int) -> str:
    return f'{count / 1e9:,.1f} GB' if count >= 1e8 else f'{count / 1e6:,.1f} MB'

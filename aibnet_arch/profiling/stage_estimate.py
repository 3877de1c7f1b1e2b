"""What a training step of a stage computes and holds, counted without computing it."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ..inference.restorer import autocast
from ..modeling import AIBNet
from .measuring import count_macs, parts_of

BACKWARD = 2  # gradients of a part's inputs and of its weights: as many MACs as its forward pass, each
PICTURES = 2  # of the counted batch: batch norm wants two; both counts are proportional to it


@dataclass(frozen=True)
class StageEstimate:
    """A training step of one stage.

    Attributes:
        stage: its number, or None if all trains at once.
        trainable: parameters that train.
        flops: of the forward and the backward pass of one picture: convolutions and matrix products of all parts, three
            times those of the parts that train, four times with `checkpointing`. The loss and the optimizer are left
            out, below 1 % at the paper's size.
        kept_bytes: what the forward pass of one picture keeps for the backward pass; with `checkpointing` also what one
            block keeps while it is computed again. The peak of a step is some more: what the pass itself works on.
        weight_bytes: weights, gradients and the optimizer's state, whatever the batch.
        checkpoint_bytes: a checkpoint on disk, networks and training state.
    """

    stage: Optional[int]
    trainable: int
    flops: float
    kept_bytes: float
    weight_bytes: int
    checkpoint_bytes: int


def estimate(
    build: Callable[[], nn.Module],
    stage: Optional[int],
    *,
    size: Sequence[int],
    optimizer: Mapping[str, Any],
    amp: Optional[str] = None,
    checkpointing: bool = False,
    ema: bool = False,
) -> StageEstimate:
    """Count a training step.

    Args:
        build: makes the network anew, AIBNet or any other. It runs without memory for its weights.
        stage: of AIBNet; None: all trains at once.
        size: height and width of a picture.
        optimizer: ``train.optim_g``.
        amp, checkpointing: as below ``train:``.
        ema: a checkpoint holds averaged weights beside the trained ones.
    """
    with torch.device('meta'):
        network = build()
    _prepare(network, stage, checkpointing)
    with FakeTensorMode():
        fake = build()
        _prepare(fake, stage, checkpointing)
        kept = _kept_bytes(fake, torch.empty(PICTURES, 3, *size), amp)
        if checkpointing and isinstance(fake, AIBNet):
            block: Any = fake.sub_decoders[-1]
            block = block.levels[0].sfdh_blocks[0]  # a level's blocks are alike, and the finest level's the largest
            kept += _kept_bytes(block, torch.empty(PICTURES, fake.arguments['width'], *size, requires_grad=True), amp)
    weights = _bytes(network.state_dict().values())
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    states = _optimizer_bytes(trained, optimizer)
    return StageEstimate(
        stage=stage,
        trainable=sum(parameter.numel() for parameter in trained),
        flops=2.0 * step_macs(network, size, checkpointing=checkpointing),
        kept_bytes=kept / PICTURES,
        weight_bytes=weights + _bytes(trained) + states,
        checkpoint_bytes=(2 if ema else 1) * weights + states,
    )


def _prepare(network: nn.Module, stage: Optional[int], checkpointing: bool) -> None:
    network.train()
    if isinstance(network, AIBNet):
        network.set_stage(stage)
        network.set_checkpointing(checkpointing)


def step_macs(network: nn.Module, size: Sequence[int], *, checkpointing: bool = False) -> float:
    """MACs of the forward and the backward pass of one picture: what is frozen runs lean, what trains as written.

    Args:
        network: in its stage; it is put into evaluation mode.
        size: height and width of the picture.
        checkpointing: the blocks of the trained sub-decoders are computed again.
    """
    network.eval()  # for one picture
    parts = parts_of(network)
    shape = (1, 3, *size)
    frozen = count_macs(network, list(parts), shape)
    if not isinstance(network, AIBNet):
        return (1 + BACKWARD) * frozen['total'][1]
    network.lean, former = None, network.lean
    written = count_macs(network, list(parts), shape)
    network.lean = former
    trains = {name for name, part in parts.items() if any(p.requires_grad for p in part.parameters())}
    rest = frozen['total'][1] - sum(frozen[name][1] for name in parts)  # the residual convolution: it trains
    times = 1 + BACKWARD
    macs = float(times * rest)
    for name in parts:
        again = checkpointing and name.startswith('sub_decoders')
        macs += (times + again) * written[name][1] if name in trains else frozen[name][1]
    return macs


def _kept_bytes(network: nn.Module, inputs: torch.Tensor, amp: Optional[str]) -> int:
    """What autograd saves in a forward pass, beside the network's own weights. The tensors are fake: sizes alone."""
    own = {tensor.untyped_storage()._cdata for tensor in (*network.parameters(), *network.buffers())}
    kept: dict[int, Any] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # alive, so that no other gets its number
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), warnings.catch_warnings():
        warnings.simplefilter('ignore')  # autocast's of a CPU that stands for a GPU
        with autocast(inputs.device, amp):
            network(inputs)
    return sum(storage.nbytes() for storage in kept.values())


def _optimizer_bytes(trained: Sequence[nn.Parameter], optimizer: Mapping[str, Any]) -> int:
    """The state that it has after its first step."""
    arguments = {key: value for key, value in optimizer.items() if key not in ('type', 'fused')}
    made = getattr(torch.optim, optimizer['type'])([nn.Parameter(torch.empty_like(p)) for p in trained], **arguments)
    for group in made.param_groups:
        for parameter in group['params']:
            parameter.grad = torch.empty_like(parameter)
    made.step()
    return _bytes(value for state in made.state.values() for value in state.values() if torch.is_tensor(value))


def _bytes(tensors: Any) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

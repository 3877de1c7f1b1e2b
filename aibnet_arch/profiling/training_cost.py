"""Time and memory of one training step, stage by stage."""

import gc
import statistics
from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, Optional

import torch

from ..losses.aibnet_loss import AIBNetLoss
from ..modeling import AIBNet
from .measuring import now
from .peak_memory import peak_memory
from .stage_estimate import step_macs


def stage_costs(
    network_opt: Mapping[str, Any],
    *,
    batch: int,
    size: Sequence[int],
    device: torch.device,
    repeats: int = 3,
    checkpointing: bool = False,
) -> list[dict[str, Any]]:
    """Measure forward pass, loss, backward pass and Adam's step.

    Args:
        network_opt: the options of an AIBNet.
        batch, size: images of a step, their height and width.
        device: where it runs.
        repeats: of the timing, after one step that is not counted.
        checkpointing: see ``AIBNet.set_checkpointing``.

    Returns:
        For each stage and at last for direct training ('direct'): 'stage', 'trainable' parameters, 'seconds'
        (median), 'macs' of the forward and backward pass, and 'peak_bytes'. The memory is the process's on a CPU, and
        that of the tensors on a GPU.
    """
    stages: list[Optional[int]] = [*range(1, network_opt.get('num_sub_decoders', 1) + 1), None]
    arguments = {key: value for key, value in deepcopy(dict(network_opt)).items() if key != 'type'}
    network = AIBNet(**arguments).to(device)
    network.train()
    network.set_checkpointing(checkpointing)
    settings: dict[str, Any] = {'batch': batch, 'size': size, 'device': device, 'repeats': repeats}
    return [_stage_cost(network, stage, checkpointing=checkpointing, **settings) for stage in stages]


def _stage_cost(
    network: AIBNet,
    stage: Optional[int],
    *,
    batch: int,
    size: Sequence[int],
    device: torch.device,
    repeats: int,
    checkpointing: bool,
) -> dict:
    network.set_stage(stage)
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, lr=1e-6)
    loss = AIBNetLoss()
    lq, gt = torch.rand(2, batch, 3, *size, device=device)

    def step() -> None:
        optimizer.zero_grad()
        loss(network(lq), gt).backward()
        optimizer.step()

    step()
    times = []
    with peak_memory(device) as highest:
        for _ in range(repeats):
            started = now(device)
            step()
            times.append(now(device) - started)
    network.zero_grad(set_to_none=True)
    gc.collect()
    macs = batch * step_macs(network, size, checkpointing=checkpointing)
    network.train()
    return {
        'macs': macs,
        'stage': stage or 'direct',
        'trainable': sum(parameter.numel() for parameter in trained),
        'seconds': statistics.median(times),
        'peak_bytes': highest[0],
    }

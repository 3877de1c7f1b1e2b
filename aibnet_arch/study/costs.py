"""What an option file's network costs: parameters and multiply-accumulates."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..modeling import AIBNet
from ..profiling.measuring import count_macs
from ..registries.on_demand import register_wanted
from ..training.stage_plan import StagePlan

SIZE = 256


@dataclass(frozen=True)
class Cost:
    """Of one network.

    Attributes:
        parameters: all.
        trainable: those that train at a time, in the stage that trains most.
        conv_macs, macs: multiply-accumulates for a picture of 256x256, in convolutions and in everything.
    """

    parameters: int
    trainable: int
    conv_macs: int
    macs: int


def cost_of(options: Mapping[str, Any]) -> Cost:
    """The costs of the network of training options, which must be sound."""
    from basicsr.archs import build_network

    register_wanted(options)  # of runs that have all finished nothing else does it
    network = build_network(deepcopy(dict(options['network_g']))).eval()
    conv_macs, macs = count_macs(network, (), (1, 3, SIZE, SIZE))['total']
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(parameters, _most_trainable(network, options), conv_macs, macs)


def _most_trainable(network: nn.Module, options: Mapping[str, Any]) -> int:
    if not isinstance(network, AIBNet):
        return _trainable(network)
    plan = StagePlan.from_options(dict(options))
    counts = []
    for stage in range(plan.trained_before + 1, len(plan.lengths) + 1) if plan.progressive else (None,):
        network.set_stage(stage)
        counts.append(_trainable(network))
    return max(counts)


def _trainable(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters() if parameter.requires_grad)

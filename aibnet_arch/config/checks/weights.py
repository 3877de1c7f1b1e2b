"""Checks of networks and of the weights that they are to start from, before anything starts."""

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Optional

import torch
from torch import nn

from ...errors import CheckpointError
from ...messages import printable
from ...modeling import AIBNet
from ...modeling.arguments import ArgumentsError, value_problems
from ...modeling.signature import is_dense
from ...registries.lookup import registered
from ...weights.state_dicts import compare_keys, refuse_lost_weights
from ...weights.weight_file import WeightFile
from ..problems import Problem, Report, problem


def check_networks(
    opt: Mapping[str, Any],
    *,
    report: Optional[Report] = None,
    resumed: bool = False,
    built: Optional[dict[str, nn.Module]] = None,
) -> Iterator[Problem]:
    """Build each network of the options, and compare it with the weights below ``path:`` that are meant for it.

    Args:
        resumed: the weights are those of a checkpoint. Otherwise those of a run to be resumed are not looked at.
        built: takes the networks by their keys.
    """
    path, report = opt['path'], report or Report()
    for key, network_opt in opt.items():
        if not key.startswith('network_') or not network_opt:
            continue
        wrong = list(_wrong_values(key, network_opt))
        yield from wrong
        if wrong or not report.is_sound(key):
            continue
        network, texts = _built(network_opt)
        yield from (problem(key, text) for text in texts)
        if network is not None and built is not None:
            built[key] = network
        name = key.removeprefix('network_')
        keys = {'param_key': f'param_key_{name}', 'strict': f'strict_load_{name}'}
        file = path.get(f'pretrain_{key}')
        if network is None or not isinstance(file, str) or not os.path.isfile(os.path.expanduser(file)):
            continue
        if path.get('resume_state') and not resumed:
            continue  # it will take the weights of the checkpoint
        if not report.is_sound(*(f'path.{each}' for each in keys.values())):
            continue
        param_key, strict = path.get(keys['param_key'], 'params'), path.get(keys['strict'], True)
        for text in weight_problems(network, file, param_key=param_key, strict=strict):
            yield problem(f'{key}, to be resumed' if resumed else f'path.pretrain_{key}', text)


def _wrong_values(key: str, network_opt: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with single arguments of an AIBNet; what is known to be wrong has been left out."""
    from basicsr.utils.registry import ARCH_REGISTRY

    if registered(ARCH_REGISTRY, network_opt.get('type')) is AIBNet:
        arguments = {name: each.default for name, each in inspect.signature(AIBNet).parameters.items()}
        arguments.update((key, value) for key, value in network_opt.items() if key in arguments)
        for name, text in value_problems(arguments).items():
            yield problem(key, f'AIBNet cannot be built with these options: {text}', spoils=((key, name),))


def _built(network_opt: Mapping[str, Any]) -> tuple[Optional[nn.Module], Sequence[str]]:
    """The network, or why there is none, a text for each reason."""
    from basicsr.utils.registry import ARCH_REGISTRY

    # Not by BasicSR's build_network: it opens BasicSR's log, which then never gets its file.
    cls: Any = registered(ARCH_REGISTRY, network_opt['type'])
    arguments = {key: deepcopy(value) for key, value in network_opt.items() if key != 'type'}
    try:
        if cls is AIBNet:
            with torch.device('meta'):  # no memory and no random numbers; other networks may not know it
                network = cls(**arguments)
            needed = sum(value.numel() * value.element_size() for value in network.parameters())
            here = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')
            if needed > here:
                text = f'its weights alone need {needed / 1e9:,.0f} GB, and this machine has {here / 1e9:,.0f} GB'
                return None, [text]
            return network, []
        with torch.random.fork_rng(devices=[]):
            return cls(**arguments), []
    except Exception as error:  # whatever the constructor of somebody's network raises: it is told, not hidden
        reasons = error.problems if isinstance(error, ArgumentsError) else [str(error) or type(error).__name__]
        return None, [f'{network_opt["type"]} cannot be built with these options: {reason}' for reason in reasons]


def weight_problems(network: nn.Module, path: str, *, param_key: Optional[str], strict: bool) -> Iterator[str]:
    """Why a file's weights cannot be loaded into a network as `load_network` would, a message each."""
    try:
        _, given = WeightFile.read(path).of_options(param_key)
    except CheckpointError as error:
        yield str(error)
        return
    wanted = network.state_dict()
    problems = compare_keys(wanted, given)
    fitting = {
        key: value
        for key, value in given.items()
        if key in wanted and is_dense(value) and value.shape == getattr(wanted[key], 'shape', None)
    }
    if problems and (strict or not fitting):
        yield f'{printable(path)} does not fit {type(network).__name__}:\n' + '\n'.join(problems)
        return
    try:
        refuse_lost_weights(fitting, where=printable(path))
    except CheckpointError as error:
        yield str(error)
    try:
        if '_extra_state' in (fitting if problems else given):
            network.set_extra_state(given['_extra_state'])
    except CheckpointError as error:
        yield f'{printable(path)}: {error}'

"""Checks of networks and of the weights that they are to start from, before anything starts."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Optional

import torch
from torch import nn

from ..modeling.encoders import CheckpointError, compare_keys, read_state_dict
from ..modeling.encoders.checkpoint import read_plain


def check_networks(opt: Mapping[str, Any]) -> Iterator[str]:
    """Build each network of the options, and compare it with the weights below ``path:`` that are meant for it."""
    for key, network_opt in opt.items():
        if not key.startswith('network_') or not isinstance(network_opt, Mapping):
            continue
        network, problem = _built(network_opt)
        if problem:
            yield f'{key}: {problem}'
            continue
        name = key.removeprefix('network_')
        path = opt['path'].get(f'pretrain_{key}')
        if path and Path(path).expanduser().is_file() and not opt['path'].get('resume_state'):
            param_key = opt['path'].get(f'param_key_{name}', 'params')
            strict = opt['path'].get(f'strict_load_{name}', True)
            for problem in weight_problems(network, path, param_key=param_key, strict=strict):
                yield f'path.pretrain_{key}: {problem}'


def _built(network_opt: Mapping[str, Any]) -> tuple[Optional[nn.Module], Optional[str]]:
    """The network, or why there is none."""
    from basicsr.archs import build_network

    from ..modeling import AIBNet

    arguments = {key: value for key, value in network_opt.items() if key != 'type'}
    try:
        if network_opt['type'] == 'AIBNet':
            with torch.device('meta'):  # no memory and no random numbers; other networks may not know it
                return AIBNet(**arguments), None
        with torch.random.fork_rng(devices=[]):
            return build_network(deepcopy(dict(network_opt))), None
    except Exception as error:  # whatever the constructor of somebody's network raises: it is told, not hidden
        return None, f'{network_opt["type"]} cannot be built with these options: {error or type(error).__name__}'


def weight_problems(network: nn.Module, path: str, *, param_key: Optional[str], strict: bool) -> Iterator[str]:
    """Why a file's weights cannot be loaded into a network as BasicSR's load_network would, a message each."""
    try:
        content = read_plain(path)
        if param_key is not None and isinstance(content, Mapping) and param_key not in content:
            param_key = 'params'  # as load_network
        state = read_state_dict(path, param_key=param_key or 'params')
    except CheckpointError as error:
        yield str(error)
        return
    problems = compare_keys(network.state_dict(), state) if strict else ()
    if problems:
        yield f'{path} does not fit {type(network).__name__}:\n' + '\n'.join(problems)

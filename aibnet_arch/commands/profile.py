"""``basicsr profile``: what the parts of a network cost."""

import argparse
import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..config.checks.registered import check_call
from ..config.option_file import load_option_file
from ..config.overrides import apply_overrides
from ..errors import OptionError, UserError
from ..files import write_text
from ..inference.restorer import PRECISIONS, InferenceSettings, Restorer
from ..messages import printable
from ..profiling.measuring import matrix_rate, measure
from ..profiling.tables import device_name, parts_table, steps_table
from ..profiling.training_cost import stage_costs
from ..registries.on_demand import register_wanted
from ..registries.other_networks import OTHER_NETWORKS


def run_profile(argv: list[str]) -> int:
    """Measure and print; the exit code."""
    from basicsr.utils.registry import ARCH_REGISTRY

    arguments = _parser().parse_args(argv)
    opt = load_option_file(arguments.opt)
    apply_overrides(opt, arguments.force_yml or ())
    register_wanted(opt)
    network_opt = opt.get('network_g')
    if not network_opt:
        raise UserError(f'{arguments.opt}: network_g is missing')
    problems = list(check_call(network_opt, ARCH_REGISTRY, 'network_g'))
    if problems:
        raise OptionError(problems)
    if arguments.train and network_opt['type'] != 'AIBNet':
        raise UserError('--train compares the stages of AIBNet; this is a ' + network_opt['type'])
    batch, training_batch = arguments.batch or 1, arguments.batch or 2
    if arguments.train and training_batch < 2:
        raise UserError('--train needs --batch 2 or more: batch norm sees one value per channel and image')
    device = torch.device('cuda' if torch.cuda.is_available() and opt.get('num_gpu') != 0 else 'cpu')
    settings = InferenceSettings.from_options(opt.get('val'))
    size = tuple(arguments.size)
    results: list[dict[str, Any]] = []
    for name, network in _networks(network_opt, arguments.beside):
        image = torch.rand(batch, 3, *size, device=device)
        restorer = Restorer(network.to(device), settings)
        rate = matrix_rate(device, dtype=PRECISIONS[settings.autocast] if settings.autocast else torch.float32)
        parts = measure(
            partial(restorer, image), network, device=device, repeats=arguments.repeats, size=tuple(image.shape)
        )
        results.append({'network': name, 'floor_seconds': parts[-1].macs / rate, 'parts': parts})
        print(f'\n{name}, {batch} x {size[0]} x {size[1]}, {device_name(device)}\n')
        print(parts_table(parts))
        ratio = parts[-1].seconds / results[-1]['floor_seconds']
        print(f'\n{ratio:.2f} times the floor: all MACs at the {2e-9 * rate:,.0f} GFLOP/s of a large matrix product')
        if name != results[0]['network']:
            print(f'{results[0]["parts"][-1].seconds / parts[-1].seconds:.2f} = time of {results[0]["network"]} / time')
    costs = []
    if arguments.train:
        costs = stage_costs(network_opt, batch=training_batch, size=size, device=device)
        print(f'\nOne training step, batch {training_batch}\n')
        print(steps_table(costs))
    if arguments.json:
        document = {
            'device': device_name(device),
            'size': [batch, 3, *size],
            'networks': [{**result, 'parts': [part.as_dict() for part in result['parts']]} for result in results],
            'training': costs,
        }
        write_text(Path(arguments.json), json.dumps(document, indent=2) + '\n')
    return 0


def _parser() -> argparse.ArgumentParser:
    what = 'Measure what the parts of a network cost.'
    parser = argparse.ArgumentParser(prog='basicsr profile', allow_abbrev=False, description=what)
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML): network_g and val are read')
    parser.add_argument('--size', nargs=2, type=int, default=(256, 256), metavar=('H', 'W'), help='of the picture')
    parser.add_argument('--batch', type=int, help='pictures at once (default: 1, and 2 in a training step)')
    parser.add_argument('--repeats', type=int, default=5, help='of the timing; the median is told')
    parser.add_argument('--train', action='store_true', help='also one training step of each stage, and of direct')
    parser.add_argument('--beside', nargs='+', default=(), choices=OTHER_NETWORKS, help="spandrel's, in the same run")
    parser.add_argument('--json', metavar='FILE', help='write the figures there, too')
    parser.add_argument('--force_yml', nargs='+', metavar='KEY:KEY=VALUE', help='change options first')
    return parser


def _networks(network_opt: dict[str, Any], beside: Iterable[str]) -> Iterator[tuple[str, nn.Module]]:
    """Names and networks, one after the other, in evaluation mode."""
    from basicsr.archs import build_network

    try:
        network = build_network(deepcopy(dict(network_opt))).eval()
    except Exception as error:  # whatever the constructor of somebody's network raises: it is told, not hidden
        told = printable(error) or type(error).__name__
        raise UserError(f'network_g: {network_opt["type"]} cannot be built with these options: {told}') from error
    yield network_opt['type'], network
    for name in beside:
        yield name, OTHER_NETWORKS[name].build().eval()

"""``basicsr profile``: what the parts of a network cost."""

import argparse
import json
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Optional

import torch
from torch import nn

from ..config.checks.picture_stores import open_pair
from ..config.checks.registered import check_call
from ..config.option_file import load_option_file
from ..config.overrides import apply_overrides
from ..errors import OptionError, UserError
from ..files import write_text
from ..inference.restorer import PRECISIONS, InferenceSettings, Restorer
from ..messages import printable
from ..profiling.limits import LIMITS, add_limits, check_picture, write_roofline
from ..profiling.measuring import copy_rate, matrix_rate, measure
from ..profiling.run_plan import plan_of_options, plan_text
from ..profiling.tables import device_name, parts_table, steps_table
from ..profiling.training_cost import stage_costs
from ..registries.on_demand import register_wanted
from ..registries.other_networks import OTHER_NETWORKS
from ..training.stage_plan import StagePlan
from .arguments import SEVERAL, above_0, whole_above_0


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
    if arguments.picture:
        check_picture(Path(arguments.picture))
    if arguments.plan:
        return _plan(opt, arguments)
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
        limits: dict[str, Any] = {'rate': rate, 'bandwidth': copy_rate(device)}
        add_limits(parts, network, tuple(image.shape), float32=not settings.autocast, **limits)
        results.append({'network': name, 'floor_seconds': parts[-1].floor_seconds, **limits, 'parts': parts})
        print(f'\n{name}, {batch} x {size[0]} x {size[1]}, {device_name(device)}\n')
        print(parts_table(parts))
        ratio = parts[-1].seconds / results[-1]['floor_seconds']
        print(f'\n{ratio:.2f} times the floor: all MACs at the {2e-9 * rate:,.0f} GFLOP/s of a large matrix product')
        print(LIMITS.format(bandwidth=limits['bandwidth'] / 1e9))
        if name != results[0]['network']:
            print(f'{results[0]["parts"][-1].seconds / parts[-1].seconds:.2f} = time of {results[0]["network"]} / time')
    costs = []
    if arguments.train:
        costs = stage_costs(network_opt, batch=training_batch, size=size, device=device)
        rate = matrix_rate(device)
        costs = [{**cost, 'floor_seconds': cost['macs'] / rate} for cost in costs]
        print(f'\nOne training step, batch {training_batch}\n')
        print(steps_table(costs))
    if arguments.picture:
        write_roofline(Path(arguments.picture), results, device=device_name(device))
    if arguments.json:
        document = {
            'device': device_name(device),
            'size': [batch, 3, *size],
            'networks': [{**result, 'parts': [part.as_dict() for part in result['parts']]} for result in results],
            'training': costs,
        }
        write_text(Path(arguments.json), json.dumps(document, indent=2) + '\n')
    return 0


def _plan(opt: dict[str, Any], arguments: argparse.Namespace) -> int:
    """Print what the run of the options takes; the exit code."""
    network_opt, train = opt['network_g'], opt.get('train')
    if not isinstance(train, dict) or 'total_iter' not in train:
        raise UserError(f'{arguments.opt}: --plan needs the options of a training: train.total_iter is missing')
    lengths: list[int] = [int(train['total_iter'])]
    stages: list[Optional[int]] = [None]
    if opt.get('model_type') == 'AIBNetModel':
        try:
            plan = StagePlan.from_options(opt)
        except ValueError as error:
            raise UserError(str(error)) from error
        lengths = [length for length in plan.lengths if length]
        if plan.progressive:
            stages = [number for number, length in enumerate(plan.lengths, start=1) if length]
    seconds = arguments.step_seconds
    if seconds and len(seconds) not in (1, len(lengths)):
        raise UserError(f'--step-seconds: {len(seconds)} numbers for {len(lengths)} stages; give one, or one for each')
    pictures = arguments.pictures or _pictures(opt)
    planned = plan_of_options(
        opt,
        stages=stages,
        lengths=lengths,
        build=lambda: _network(network_opt),
        pictures=pictures,
        gpus=arguments.gpus,
        step_seconds=seconds,
        tflops=arguments.tflops,
        watts=arguments.watts,
    )
    keep = (opt.get('logger') or {}).get('keep_checkpoints')
    dataset = opt['datasets']['train']
    each = f'{arguments.gpus} x {dataset["batch_size_per_gpu"]} x {dataset["gt_size"]} x {dataset["gt_size"]}'
    print(f'{opt.get("name", arguments.opt)}, an iteration: {each}\n')
    print(plan_text(planned, keep=keep))
    if pictures is None:
        print('Epochs: the training set is not there; give its number of pictures with --pictures')
    if not seconds and not arguments.tflops:
        print('Hours: give --step-seconds as measured, or --tflops that a GPU reaches; with --watts also the energy')
    if arguments.json:
        document = {'gpus': arguments.gpus, 'stages': [asdict(stage) for stage in planned]}
        write_text(Path(arguments.json), json.dumps(document, indent=2) + '\n')
    return 0


def _pictures(opt: dict[str, Any]) -> Optional[int]:
    """Of the training set, or None if it is not there."""
    dataset = opt['datasets']['train']
    folders = [dataset.get('dataroot_lq'), dataset.get('dataroot_gt')]
    if not all(folder and Path(folder).expanduser().is_dir() for folder in folders):
        return None
    stores, problems = open_pair(dataset)
    if problems:
        raise UserError('\n'.join(f'datasets.train.{key}: {text}' for key, text in problems))
    return len(stores['dataroot_gt'])


def _parser() -> argparse.ArgumentParser:
    what = 'Measure what the parts of a network cost.'
    parser = argparse.ArgumentParser(prog='basicsr profile', allow_abbrev=False, description=what)
    add = parser.add_argument
    add('-opt', required=True, metavar='FILE', help='option file (YAML): network_g and val are read')
    add('--size', nargs=2, type=int, default=(256, 256), metavar=('H', 'W'), help='of the picture')
    add('--batch', type=int, help='pictures at once (default: 1, and 2 in a training step)')
    add('--repeats', type=int, default=5, help='of the timing; the median is told')
    add('--picture', metavar='FILE', help='draw the parts below their rooflines (PNG; needs matplotlib)')
    add('--plan', action='store_true', help='what the whole training takes, counted, not run')
    add('--train', action='store_true', help='also one training step of each stage, and of direct')
    add('--beside', **SEVERAL, default=[], choices=OTHER_NETWORKS, help="spandrel's, in the same run")
    plan = parser.add_argument_group('with --plan')
    plan.add_argument('--gpus', type=whole_above_0, default=1, metavar='N', help='with a process each')
    plan.add_argument('--pictures', type=whole_above_0, metavar='N', help='of the training set, where it is not there')
    speed = plan.add_mutually_exclusive_group()
    speed.add_argument(
        '--step-seconds', **SEVERAL, type=above_0, metavar='S', help='of an iteration; one, or one a stage'
    )
    speed.add_argument('--tflops', type=above_0, metavar='T', help='that a GPU reaches in training')
    plan.add_argument('--watts', type=above_0, metavar='W', help='of a GPU')
    add('--json', metavar='FILE', help='write the figures there, too')
    add('--force_yml', **SEVERAL, metavar='KEY:KEY=VALUE', help='change options first')
    return parser


def _network(network_opt: dict[str, Any]) -> nn.Module:
    from basicsr.archs import build_network

    try:
        return build_network(deepcopy(dict(network_opt)))
    except Exception as error:  # whatever the constructor of somebody's network raises: it is told, not hidden
        told = printable('; '.join(str(error).splitlines())) or type(error).__name__
        raise UserError(f'network_g: {network_opt["type"]} cannot be built with these options: {told}') from error


def _networks(network_opt: dict[str, Any], beside: Iterable[str]) -> Iterator[tuple[str, nn.Module]]:
    """Names and networks, one after the other, in evaluation mode."""
    yield network_opt['type'], _network(network_opt).eval()
    for name in beside:
        yield name, OTHER_NETWORKS[name].build().eval()

"""Does the network see blur? The figures of docs/blurmap.md, from nothing: data, trainings, maps.

    python -m tools.blurmap_study --work study

For each seed it trains the demo's network and a NAFNet of its width (same data, loss, optimizer, batch and iterations),
makes the maps of both sets of known blur with both of them and with an untrained network, and prints the means. What
is there already is not made again. About 10 minutes a seed on one core.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.config.option_file import load_option_file

REPOSITORY = Path(__file__).parent.parent
WEIGHTS = 'experiments/{name}/models/net_g_latest.pth'
NAFNET = {'type': 'NAFNet', 'width': 16, 'enc_blk_nums': [1, 1, 1, 2], 'middle_blk_num': 1, 'dec_blk_nums': [1] * 4}
SETS = ('partly', 'demo')


def aibnet_options(seed: int, *, times: int = 1) -> dict:
    """The demo's options with this seed, and `times` as many iterations."""
    opt = json.loads(json.dumps(load_option_file(REPOSITORY / 'options/AIBNet_demo.yml')))  # plain dicts, for YAML
    opt['manual_seed'] = seed
    train = opt['train']
    train['stage_iter'] = [times * iterations for iterations in train['stage_iter']]
    train['total_iter'] *= times
    return opt


def nafnet_options(seed: int, *, times: int = 1) -> dict:
    """The same for a NAFNet: all iterations in one stage."""
    opt = aibnet_options(seed, times=times)
    opt.update(name='NAFNet-demo', model_type='SRModel', network_g=NAFNET)
    train = opt['train']
    for key in ('stage_iter', 'strategy'):
        del train[key]
    train['scheduler'].update(periods=[train['total_iter']], restart_weights=[1])
    return opt


def run(module: str, *arguments: object, folder: Path) -> None:
    """Run a module of this repository with one thread; its output goes to log.txt."""
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPOSITORY)}
    command = [sys.executable, '-m', module, *map(str, arguments)]
    print(' '.join(command[1:]), flush=True)
    with open(folder / 'log.txt', 'a') as log:
        if subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT).returncode:
            sys.exit(f'failed: see {folder / "log.txt"}')


def trained(opt: dict, work: Path, *, module: str) -> Path:
    """The weights after training with these options."""
    folder = work / f'{opt["name"]}-{opt["manual_seed"]}'
    weights = folder / WEIGHTS.format(name=opt['name'])
    if not weights.is_file():
        folder.mkdir(exist_ok=True)
        for dataset in opt['datasets'].values():
            for key in ('dataroot_lq', 'dataroot_gt'):
                dataset[key] = str(work / dataset[key])
        (folder / 'options.yml').write_text(yaml.safe_dump(opt, sort_keys=False))
        run(module, 'train', '-opt', 'options.yml', folder=folder)
    return weights


def untrained(opt: dict, work: Path) -> Path:
    path = work / f'untrained-{opt["manual_seed"]}.pth'
    torch.manual_seed(opt['manual_seed'])
    network = AIBNet(**{key: value for key, value in opt['network_g'].items() if key != 'type'})
    torch.save({'params': network.state_dict()}, path)
    return path


def figures(work: Path, *, name: str, weights: Path, flags: Sequence[object] = ()) -> dict[str, dict]:
    """The JSON of ``basicsr blurmap`` for both sets."""
    results = {}
    for known in SETS:
        out = work / 'maps' / known / name
        if not (out / 'figures.json').is_file():
            out.mkdir(parents=True, exist_ok=True)
            source = work / 'datasets/known_blur' / known
            truth = ('--gt', source / 'target', '--extent', source / 'extent')
            run('aibnet_arch', 'blurmap', source / 'input', *truth, '--weights', weights, '-o', out, *flags, folder=out)
        results[known] = json.loads((out / 'figures.json').read_text())
    return results


def tables(runs: list[dict], *, suffix: str = '') -> Iterator[str]:
    """Markdown: for each truth the mean over the runs of the mean over the pictures, ± deviation over the runs."""
    for truth, maps in runs[0]['means'].items():
        yield f'\n{truth}{suffix}\n\n| map | rank correlation | AUC | AUC, control | AUC above control |'
        yield '| --- | --- | --- | --- | --- |'
        for name in maps:
            cells = []
            for figure in ('spearman', 'auc', 'sharp_auc'):
                values = [run['means'][truth][name][figure]['mean'] for run in runs]
                cells.append('undefined' if None in values else spread(values))
            rows = [row for run in runs for row in run['pictures'] if (row['truth'], row['map']) == (truth, name)]
            pairs = [(row['auc'], row['sharp_auc']) for row in rows if row['auc'] is not None]
            above = sum(first > second for first, second in pairs)
            yield f'| {name} | {" | ".join(cells)} | {above} of {len(pairs)} |'


def spread(values: list[float]) -> str:
    deviation = f' ± {statistics.stdev(values):.3f}' if len(values) > 1 else ''
    return f'{statistics.fmean(values):.3f}{deviation}'


def main() -> int:
    if sys.argv[1:2] == ['train']:  # this module as `basicsr train`, with NAFNet registered
        from aibnet_arch.commands.main import main as basicsr
        from aibnet_arch.commands.main import prepare
        from aibnet_arch.registries.other_networks import OTHER_NETWORKS

        prepare()
        from basicsr.utils.registry import ARCH_REGISTRY

        if 'NAFNet' not in ARCH_REGISTRY:
            ARCH_REGISTRY.register(OTHER_NETWORKS['NAFNet'].cls())
        return basicsr(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--work', type=Path, required=True, help='folder for everything')
    parser.add_argument('--seeds', type=int, nargs='+', default=[10, 11, 12])
    parser.add_argument('--times', type=int, default=1, help="as many iterations as the demo's (a --work of its own)")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    run('datasets_prep.demo', folder=work)
    if not (work / 'datasets/known_blur').is_dir():
        run('datasets_prep.known_blur', folder=work)
    with_training, without = [], []
    for seed in args.seeds:
        opt = aibnet_options(seed, times=args.times)
        nafnet = trained(nafnet_options(seed, times=args.times), work, module='tools.blurmap_study')
        weights, flags = trained(opt, work, module='aibnet_arch'), ('--beside', nafnet, '--parts')
        with_training.append(figures(work, name=f'trained-{seed}', weights=weights, flags=flags))
        weights = untrained(opt, work)
        without.append(figures(work, name=f'untrained-{seed}', weights=weights, flags=['--no-pictures']))
    for known in SETS:
        for name, runs in (('trained', with_training), ('untrained', without)):
            print(*tables([run[known] for run in runs], suffix=f', {known}, {name}'), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())

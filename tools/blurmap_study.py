"""Does the network see blur? The figures of docs/blurmap.md, from nothing: data, trainings, maps.

    python -m tools.blurmap_study --work study

`basicsr study` trains the demo's network and a NAFNet of its width (same data, loss, optimizer, batch and iterations)
with each seed; then it makes the maps of both sets of known blur with both of them and with an untrained network, and
prints the means. What is there already is not made again. About 10 minutes a seed on one core.
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
from aibnet_arch.messages import markdown_table

REPOSITORY = Path(__file__).parent.parent
DEMO = REPOSITORY / 'options/AIBNet_demo.yml'
NAFNET = {'type': 'NAFNet', 'width': 16, 'enc_blk_nums': [1, 1, 1, 2], 'middle_blk_num': 1, 'dec_blk_nums': [1] * 4}
SETS = ('partly', 'demo')


def nafnet_options() -> dict:
    """The demo's options for a NAFNet: all iterations in one stage."""
    opt = json.loads(json.dumps(load_option_file(DEMO)))  # plain dicts, for YAML
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


def untrained(work: Path, *, seed: int) -> Path:
    """Random weights of the demo's network."""
    path = work / f'untrained-{seed}.pth'
    torch.manual_seed(seed)
    arguments = load_option_file(DEMO)['network_g']
    network = AIBNet(**{key: value for key, value in arguments.items() if key != 'type'})
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
        lines = [['map', 'rank correlation', 'AUC', 'AUC, control', 'AUC above control']]
        for name in maps:
            cells = []
            for figure in ('spearman', 'auc', 'sharp_auc'):
                values = [run['means'][truth][name][figure]['mean'] for run in runs]
                cells.append('undefined' if None in values else spread(values))
            rows = [row for run in runs for row in run['pictures'] if (row['truth'], row['map']) == (truth, name)]
            pairs = [(row['auc'], row['sharp_auc']) for row in rows if row['auc'] is not None]
            above = sum(first > second for first, second in pairs)
            lines.append([name, *cells, f'{above} of {len(pairs)}'])
        yield f'{truth}{suffix}\n\n{markdown_table(lines)}'


def spread(values: list[float]) -> str:
    deviation = f' ± {statistics.stdev(values):.3f}' if len(values) > 1 else ''
    return f'{statistics.fmean(values):.3f}{deviation}'


def main() -> int:
    """Make everything, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--work', type=Path, required=True, help='folder for everything')
    parser.add_argument('--seeds', type=int, nargs='+', default=[10, 11, 12])
    parser.add_argument('--times', type=float, default=1, help="as many iterations as the demo's (a --work of its own)")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    run('datasets_prep.demo', folder=work)
    if not (work / 'datasets/known_blur').is_dir():
        run('datasets_prep.known_blur', folder=work)
    (work / 'NAFNet_demo.yml').write_text(yaml.safe_dump(nafnet_options(), sort_keys=False))
    flags = ('--seeds', *args.seeds, '--iterations-scale', args.times)
    run('aibnet_arch', 'study', DEMO, 'NAFNet_demo.yml', '-o', 'trainings', *flags, folder=work)
    with_training, without = [], []
    for seed in args.seeds:
        weights, nafnet = (
            work / f'trainings/experiments/{name}-demo-s{seed}/models/net_g_latest.pth' for name in ('AIBNet', 'NAFNet')
        )
        flags = ('--beside', nafnet, '--parts')
        with_training.append(figures(work, name=f'trained-{seed}', weights=weights, flags=flags))
        weights = untrained(work, seed=seed)
        without.append(figures(work, name=f'untrained-{seed}', weights=weights, flags=['--no-pictures']))
    for known in SETS:
        for name, runs in (('trained', with_training), ('untrained', without)):
            print(*tables([run[known] for run in runs], suffix=f', {known}, {name}'), sep='\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())

"""Time, floor and memory of AIBNet-S, B, L and others in one run: python -m tools.speed_table -o FOLDER

Inference of a picture of 256x256, and training steps of two of 128x128, on the CPU, in float32 and bfloat16, with
random weights. `--before` measures an older checkout of this package in turn with this one, `--adarevd` the code of
AdaRevD's authors (https://github.com/INVOKERer/AdaRevD; it imports kornia, timm, lpips and torch_dct). Each network has
a process of its own (speed_case.py). The tables are written anew after each network: a run that is stopped leaves what
it has. `--minutes` is about kept, by measuring less often and by leaving out the last ones.
"""

import argparse
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import torch

from aibnet_arch.files import write_csv, write_text
from aibnet_arch.profiling.measuring import matrix_rate

HERE = Path(__file__).parents[1]
CASE = Path(__file__).with_name('speed_case.py')
NAFNET, UFPNET = {'encoder': 'nafnet'}, {'encoder': 'ufpnet'}
TINY: dict[str, Any] = {'width': 8, 'encoder_blocks': [1, 1, 1, 1], 'blocks_per_level': 1}
TINY_OTHERS: dict[str, dict[str, Any]] = {'NAFNet': {'width': 8}, 'Restormer': {'dim': 8, 'num_blocks': [1, 1, 1, 1]}}
Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One network in one use.

    Attributes:
        arguments: those that differ from its option file's.
        stage: that trains.
        both: an older checkout is measured, too.
    """

    kind: str
    network: str
    arguments: dict[str, Any] = field(default_factory=dict)
    stage: Optional[int] = None
    both: bool = True

    @property
    def name(self) -> str:
        """As the table tells it."""
        parts = [self.network, self.arguments.get('encoder'), f'stage {self.stage}' if self.stage else None]
        return ', '.join(part for part in parts if part)

    @property
    def precisions(self) -> tuple[str, ...]:
        """What it is measured in."""
        if self.network == 'AdaRevD-L':
            return ('float32',)  # its Fourier features are complex, which bfloat16 cannot be
        return ('float32', 'bf16', 'frozen bf16') if self.stage else ('float32', 'bf16')


# The most wanted first.
CASES = (
    Case('inference', 'AIBNet-S', UFPNET),
    Case('inference', 'AdaRevD-L', both=False),
    Case('inference', 'AIBNet-L', UFPNET),
    Case('training', 'AIBNet-S', NAFNET, 1),
    Case('inference', 'NAFNet', both=False),
    Case('training', 'NAFNet', both=False),
    Case('inference', 'AIBNet-B', UFPNET),
    Case('inference', 'Restormer', both=False),
    Case('training', 'AIBNet-B', NAFNET, 2),
    Case('training', 'AIBNet-L', NAFNET, 4),
    Case('training', 'Restormer', both=False),
    Case('inference', 'AIBNet-S', NAFNET),
    Case('inference', 'AIBNet-B', NAFNET),
    Case('inference', 'AIBNet-L', NAFNET),
)


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Measure, and write FOLDER/speed.md and speed.csv; 1 if one could not be measured, or the time was over."""
    arguments = _parser().parse_args(argv)
    torch.set_num_threads(arguments.threads)
    arguments.output.mkdir(parents=True, exist_ok=True)
    cases = [case for case in CASES if case.network != 'AdaRevD-L' or arguments.adarevd]
    cases = [case for case in cases if not arguments.only or case.network in arguments.only]
    until = time.monotonic() + 60 * arguments.minutes
    rows: list[Row] = []
    failed = []
    for number, case in enumerate(cases):
        share = (until - time.monotonic()) / (len(cases) - number)
        if share <= 0:
            print(f'no time left for {len(cases) - number} networks: give more --minutes', file=sys.stderr)
            failed += cases[number:]
            break
        try:
            rows += _measured(case, arguments, seconds=share)
        except CaseError as error:
            print(f'{case.kind}, {case.name}: {error}', file=sys.stderr)
            failed.append(case)
        write_csv(arguments.output / 'speed.csv', rows)
        write_text(arguments.output / 'speed.md', _page(rows))
    print(_page(rows), end='')
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='python -m tools.speed_table', description=__doc__)
    parser.add_argument('-o', '--output', required=True, type=Path, metavar='FOLDER', help='of speed.md and speed.csv')
    parser.add_argument('--before', type=Path, metavar='CHECKOUT', help='an older one of this package')
    parser.add_argument('--adarevd', type=Path, metavar='CHECKOUT', help="of AdaRevD's authors")
    parser.add_argument('--threads', type=int, default=torch.get_num_threads(), metavar='N', help='of a process')
    parser.add_argument('--minutes', type=float, default=9.0, metavar='N', help='about what the run may take (9)')
    parser.add_argument('--repeats', type=int, default=5, metavar='N', help='at most; the median is told (5)')
    parser.add_argument('--only', nargs='+', choices=sorted({case.network for case in CASES}), help='these networks')
    parser.add_argument('--tiny', action='store_true', help='small networks and pictures, to try the command')
    return parser


class CaseError(Exception):
    """A network that could not be measured; why is on the error output of its process."""


class _Worker:
    """A process that holds a network."""

    def __init__(self, process: Any) -> None:
        self._process = process

    def macs(self) -> int:
        """Of the run that it begins with; asked for once."""
        return self._answer()['macs']

    def measure(self, precision: str) -> dict[str, Any]:
        """Seconds and highest memory of one run."""
        self._process.stdin.write(json.dumps(precision) + '\n')
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            raise CaseError(f'its process ended with exit code {self._process.wait()}')
        return json.loads(line)


@contextmanager
def _worker(case: Case, tree: Path, arguments: argparse.Namespace) -> Iterator[_Worker]:
    tiny = (TINY if case.network.startswith('AIBNet') else TINY_OTHERS.get(case.network, {})) if arguments.tiny else {}
    size = 64 if arguments.tiny else 256 if case.kind == 'inference' else 128
    checkout = str(tree.resolve())
    told: dict[str, Any] = {'kind': case.kind, 'network': case.network, 'stage': case.stage, 'size': size}
    told.update(arguments={**case.arguments, **tiny}, checkout=checkout)
    path = os.pathsep.join(filter(None, (checkout, os.environ.get('PYTHONPATH'))))
    environment = {**os.environ, 'PYTHONPATH': path, 'OMP_NUM_THREADS': str(arguments.threads)}
    command = [sys.executable, '-W', 'ignore', str(CASE), json.dumps(told)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True, cwd=HERE) as process:
        try:
            yield _Worker(process)
        finally:
            process.kill()


def _measured(case: Case, arguments: argparse.Namespace, *, seconds: float) -> list[Row]:
    """Runs of each tree and precision in turn, as often as there is time for."""
    started = time.monotonic()
    trees = {'after': arguments.adarevd if case.network == 'AdaRevD-L' else HERE}
    if arguments.before and case.both:
        trees['before'] = arguments.before
    rates: dict[torch.dtype, list[float]] = {torch.float32: [], torch.bfloat16: []}
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with ExitStack() as stack:
        workers = {name: stack.enter_context(_worker(case, tree, arguments)) for name, tree in trees.items()}
        macs = {name: worker.macs() for name, worker in workers.items()}
        for _ in range(arguments.repeats):
            begun = time.monotonic()
            for dtype, found in rates.items():
                found.append(matrix_rate(torch.device('cpu'), dtype=dtype))
            for precision, name in itertools.product(case.precisions, workers):
                runs.setdefault((name, precision), []).append(workers[name].measure(precision))
            now = time.monotonic()
            if now - started + now - begun > seconds:
                break
    print(f'{case.kind}, {case.name}: {time.monotonic() - started:.0f} s', file=sys.stderr)
    rate = {dtype: statistics.median(found) for dtype, found in rates.items()}
    return [_row(case, name, precision, macs[name], found, rate) for (name, precision), found in runs.items()]


def _row(
    case: Case, tree: str, precision: str, macs: int, runs: list[dict[str, Any]], rate: dict[torch.dtype, float]
) -> Row:
    warm = runs[1:] if len(runs) > 1 and precision != 'float32' else runs  # which the process has run before
    seconds = statistics.median(run['seconds'] for run in warm)
    floor = macs / rate[torch.bfloat16 if precision == 'bf16' else torch.float32]
    return {
        'kind': case.kind,
        'network': case.name,
        'precision': precision,
        'tree': tree,
        'gmacs': round(macs / 1e9, 1),
        'seconds': round(seconds, 3),
        'times_floor': round(seconds / floor, 2),
        'peak_gb': round(max(run['peak_bytes'] for run in runs) / 1e9, 2),
        'runs': len(warm),
        'gflops_float32': round(2e-9 * rate[torch.float32]),
        'gflops_bf16': round(2e-9 * rate[torch.bfloat16]),
    }


def _page(rows: Sequence[Row]) -> str:
    """Tables in Markdown; what an older checkout took stands behind what this one takes."""
    lines = [f'{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}; after (before)']
    if rows:
        for name, key in (('float32', 'gflops_float32'), ('bf16', 'gflops_bf16')):
            lines.append(f'{name} floor: {statistics.median(row[key] for row in rows):,.0f} GFLOP/s')
    for kind in dict.fromkeys(row['kind'] for row in rows):
        found = {(row['network'], row['precision'], row['tree']): row for row in rows if row['kind'] == kind}
        lines += ['', f'| {kind} | precision | GMACs | seconds | times its floor | peak GB |']
        lines.append('| --- | --- | --- | --- | --- | --- |')
        for network, precision in dict.fromkeys(key[:2] for key in found):
            both = [found.get((network, precision, tree)) for tree in ('after', 'before')]
            cells = [_cell(both, key) for key in ('gmacs', 'seconds', 'times_floor', 'peak_gb')]
            lines.append(f'| {network} | {precision} | {" | ".join(cells)} |')
    return '\n'.join(lines) + '\n'


def _cell(both: Sequence[Optional[Row]], key: str) -> str:
    after, before = both
    return f'{after[key] if after else "?"}' + (f' ({before[key]})' if before else '')


def _processor() -> str:
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == '__main__':
    sys.exit(main())

"""``basicsr study``: several option files with several seeds, a table and plots."""

import argparse
import math
from pathlib import Path

from ..errors import UserError
from ..study import whole_study
from ..study.slurm import parameters_of
from .arguments import SEVERAL


def run_study(argv: list[str]) -> int:
    """Run what has not finished, and write the report; the exit code."""
    arguments = _parser().parse_args(argv)
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f'--jobs {arguments.jobs}: expected 1 or more')
    for name in ('iterations_scale', 'total'):
        if (value := getattr(arguments, name)) is not None and not 0 < value < math.inf:
            raise UserError(f'--{name.replace("_", "-")} {value}: expected a number above 0')
    if not arguments.output:
        raise UserError('-o: expected a folder')
    if arguments.slurm and arguments.executor != 'slurm':
        raise UserError('--slurm: only with --executor slurm')
    slurm = parameters_of(arguments.slurm) if arguments.executor == 'slurm' else None
    whole_study.run_study(
        arguments.files,
        Path(arguments.output),
        seeds=arguments.seeds,
        base=arguments.base,
        jobs=arguments.jobs,
        scale=arguments.iterations_scale or 1.0,
        total=arguments.total,
        slurm=slurm,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    what = 'Run several option files with several seeds, write a table and plots.'
    parser = argparse.ArgumentParser(prog='basicsr study', allow_abbrev=False, description=what)
    add = parser.add_argument
    add('files', nargs='+', metavar='FILE', help='option files of training, or one plan file (YAML)')
    add('-o', '--output', required=True, metavar='FOLDER', help='where everything goes')
    add('--seeds', **SEVERAL, type=int, metavar='N', help='one run each (default 0 1 2)')
    add('--base', metavar='NAME', help='the others are compared with it (default: the first)')
    add('--jobs', type=int, metavar='N', help='runs at a time (default: the GPUs, or 1 on a CPU)')
    add('--executor', choices=('local', 'slurm'), default='local', help='where runs run: here, or as jobs of slurm')
    add(
        '--slurm',
        **SEVERAL,
        default=[],
        metavar='NAME=VALUE',
        help="of a job, by submitit's names: partition, time, ...",
    )
    shorter = parser.add_mutually_exclusive_group()
    shorter.add_argument('--iterations-scale', type=float, metavar='F', help='factor of all iterations, e.g. 0.02')
    shorter.add_argument('--total', type=int, metavar='N', help="the base's iterations; the others are scaled alike")
    return parser

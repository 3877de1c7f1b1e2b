"""``basicsr study``: several option files with several seeds, a table and plots."""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path

import torch

from ..toolbox.arguments import check_options
from ..toolbox.errors import OptionError, RunError, UserError
from .costs import cost_of
from .locks import locked
from .plan import Plan, Run, read_plan
from .plots import require_matplotlib
from .report import write_report
from .results import read_result
from .running import Places, Runner


def run_study(argv: list[str]) -> int:
    """Run what has not finished, and write the report; the exit code.

    Raises:
        UserError, OptionError: the plan or an option file is wrong; nothing was started.
        RunError: some runs failed. The others are in the report.
        StoppedError: a signal came.
    """
    arguments = _parser().parse_args(argv)
    if arguments.jobs is not None and arguments.jobs < 1:
        raise UserError(f'--jobs {arguments.jobs}: expected 1 or more')
    for name in ('iterations_scale', 'total'):
        if (value := getattr(arguments, name)) is not None and value <= 0:
            raise UserError(f'--{name.replace("_", "-")} {value}: expected more than 0')
    require_matplotlib()
    plan = read_plan(
        arguments.files,
        seeds=arguments.seeds,
        base=arguments.base,
        scale=arguments.iterations_scale or 1.0,
        total=arguments.total,
    )
    out = Path(arguments.output)
    if out.exists() and not out.is_dir():
        raise UserError(f'-o {out} is no folder')
    runs = plan.runs(out)
    _refuse_changed(runs)
    waiting = [run for run in runs if read_result(run.folder) is None]
    _say(f'{len(runs)} runs: {len(runs) - len(waiting)} finished, {len(waiting)} to do')
    _check(plan, runs)
    costs = {entry.name: cost_of(entry.options) for entry in plan.entries}
    out.mkdir(parents=True, exist_ok=True)
    with locked(out / 'lock'):

        def finished(run: Run) -> None:
            _say(f'{run.name}: finished')
            write_report(out, runs, base=plan.base, costs=costs)

        use_gpus = any(run.options['num_gpu'] != 0 for run in waiting)
        runner = Runner(waiting, Places.here(jobs=arguments.jobs, use_gpus=use_gpus), tell=_say, finished=finished)
        runner.run()
        text = write_report(out, runs, base=plan.base, costs=costs)
    print(f'\n{text}\n{out}: table.md, table.csv, equal_time.csv, plots/')
    if runner.failures:
        failed = '\n'.join(f'  {name}: {what}' for name, what in runner.failures.items())
        raise RunError(
            f'{len(runner.failures)} of {len(runs)} runs failed; the table is of the others:\n{failed}\n'
            f'Their whole output is {out}/runs/NAME/output.txt. Start the study again to go on with them.'
        )
    return 0


def _parser() -> argparse.ArgumentParser:
    what = 'Run several option files with several seeds, write a table and plots.'
    parser = argparse.ArgumentParser(prog='basicsr study', allow_abbrev=False, description=what)
    parser.add_argument('files', nargs='+', metavar='FILE', help='option files of training, or one plan file (YAML)')
    parser.add_argument('-o', '--output', required=True, metavar='FOLDER', help='where everything goes')
    parser.add_argument('--seeds', nargs='+', type=int, metavar='N', help='one run each (default 0 1 2)')
    parser.add_argument('--base', metavar='NAME', help='the others are compared with it (default: the first)')
    parser.add_argument('--jobs', type=int, metavar='N', help='runs at a time (default: the GPUs, or 1 on a CPU)')
    shorter = parser.add_mutually_exclusive_group()
    shorter.add_argument('--iterations-scale', type=float, metavar='F', help='factor of all iterations, e.g. 0.02')
    shorter.add_argument('--total', type=int, metavar='N', help="the base's iterations; the others are scaled alike")
    return parser


def _refuse_changed(runs: Sequence[Run]) -> None:
    """Raise if a run was begun or finished with other options: neither going on nor keeping it would be right."""
    problems = []
    for run in runs:
        record = run.folder / 'run.json'
        if record.is_file():
            try:
                digest = json.loads(record.read_bytes())['digest']
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f'{record} is damaged ({error!r}): delete {run.folder}') from error
            if digest != run.digest:
                problems.append(f'{run.folder}: its options have changed since it was started')
    if problems:
        raise OptionError([*problems, 'Choose another -o, or delete these folders and those of their experiments.'])


def _check(plan: Plan, runs: Sequence[Run]) -> None:
    """What `basicsr check` says to each entry's options, before anything starts.

    Weights that are still to be trained are stood for by random ones of the same network.
    """
    from basicsr.archs import build_network

    files = {entry.name: entry.file for entry in plan.entries}
    first: dict[str, Run] = {}
    for run in runs:  # those whose weights others take come before them
        first.setdefault(run.entry, run)
    with tempfile.TemporaryDirectory() as folder:
        for run in first.values():
            options = deepcopy(run.options)
            for key, provider in run.needs.items():
                if not provider.weights.is_file():
                    stand_in = Path(folder, f'{provider.name}.pth')
                    network = build_network(deepcopy(dict(provider.options['network_g'])))
                    torch.save({'params': network.state_dict()}, stand_in)
                    options['path'][key] = str(stand_in)
            check_options(options, name=files[run.entry])


def _say(line: str) -> None:
    print(f'{time.strftime("%H:%M:%S")} {line}', flush=True)

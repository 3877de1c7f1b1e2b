"""A whole study: what has not finished is checked and run, and the report is written."""

import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Optional

import torch

from ..config.command_line import check_options
from ..errors import OptionError, RunError, UserError
from ..locks import Lock
from .costs import cost_of
from .plan import Plan, Run, read_plan
from .plots import require_matplotlib
from .report import write_report
from .results import read_result
from .running import Places, Runner
from .slurm import SlurmStarter


def run_study(
    files: Sequence[str],
    out: Path,
    *,
    seeds: Optional[Sequence[int]] = None,
    base: Optional[str] = None,
    jobs: Optional[int] = None,
    scale: float = 1.0,
    total: Optional[int] = None,
    slurm: Optional[Mapping[str, Any]] = None,
) -> None:
    """Run what has not finished, and write the report.

    Args:
        files, seeds, base, scale, total: see :func:`.read_plan`.
        jobs: runs at a time; by default one on each GPU, or one, and with slurm all.
        slurm: parameters of slurm: the runs are its jobs (:class:`.SlurmStarter`); None: processes of this machine.

    Raises:
        UserError, OptionError: the plan or an option file is wrong; nothing was started.
        RunError: some runs failed. The others are in the report.
        StoppedError: a signal came.
    """
    require_matplotlib()
    plan = read_plan(files, seeds=seeds, base=base, scale=scale, total=total)
    runs = plan.runs(out)
    _check(plan, _waiting(runs))
    costs = {entry.name: cost_of(entry.options) for entry in plan.entries}
    _make_folders(out)
    with Lock(out / 'lock'):
        waiting = _waiting(runs)  # what another study in this folder may have finished meanwhile is not run again
        _say(f'{len(runs)} runs: {len(runs) - len(waiting)} finished, {len(waiting)} to do')

        def finished(run: Run) -> None:
            _say(f'{run.name}: finished')
            try:
                write_report(out, runs, base=plan.base, costs=costs, claims=plan.claims)
            except (RunError, OSError, ValueError) as error:  # told again at the end; the other runs go on
                _say(f'the report could not be written: {error}')

        use_gpus = any(run.options['num_gpu'] != 0 for run in waiting)
        if slurm is None:
            places, start = Places.here(jobs=jobs, use_gpus=use_gpus), None
        else:
            places = Places([None] * (jobs or max(1, len(waiting))), 1)
            start = SlurmStarter(out / 'jobs', parameters=slurm, use_gpus=use_gpus)
        runner = Runner(waiting, places, tell=_say, finished=finished, start=start)
        runner.run()
        text = write_report(out, runs, base=plan.base, costs=costs, claims=plan.claims)
    print(f'\n{text}\n{out}: table.md, table.csv, equal_time.csv, evidence.csv, paper.{{md,tex,csv,png}}, plots/')
    if runner.failures:
        failed = '\n'.join(f'  {name}: {what}' for name, what in runner.failures.items())
        raise RunError(
            f'{len(runner.failures)} of {len(runs)} runs failed; the table is of the others:\n{failed}\n'
            f'Their whole output is {out}/runs/NAME/output.txt. Start the study again to go on with them.'
        )


def _make_folders(out: Path) -> None:
    try:
        for folder in (out, out / 'runs', out / 'experiments', out / 'plots'):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f'-o {out}: the folder cannot be made: {error}') from error


def _waiting(runs: Sequence[Run]) -> list[Run]:
    """The runs that have not finished.

    Raises:
        OptionError: a run was begun or finished with other options: neither going on nor keeping it would be right.
    """
    problems, waiting = [], []
    for run in runs:
        result = read_result(run.folder)
        if result is None:
            waiting.append(run)
        record = run.folder / 'run.json'
        if record.is_file():
            try:
                digest = json.loads(record.read_bytes())['digest']
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f'{record} is damaged ({error!r}): delete {run.folder}') from error
            if digest != run.digest or (result is not None and result.digest != run.digest):
                problems.append(f'{run.folder}: its options, or those of whose weights it takes, have changed')
        elif result is not None or run.weights.parent.is_dir():
            problems.append(f'{record} is missing, but {run.folder if result else run.weights.parent.parent} is there')
    if problems:
        raise OptionError([*problems, 'Choose another -o, or delete these folders and those of their experiments.'])
    return waiting


def _check(plan: Plan, waiting: Sequence[Run]) -> None:
    """What `basicsr check` says to the options of each entry that has runs to do, before anything starts.

    Weights that are still to be trained are stood for by random ones of the same network.
    """
    from basicsr.archs import build_network

    files = {entry.name: entry.file for entry in plan.entries}
    first: dict[str, Run] = {}
    for run in waiting:  # those whose weights others take come before them
        first.setdefault(run.entry, run)
    to_come = {run.name for run in waiting}
    lost = {
        f'{provider.weights} is gone, which {run.name} needs: delete {provider.folder} and its experiment, '
        'and it is trained again'
        for run in waiting
        for provider in run.needs.values()
        if provider.name not in to_come and not provider.weights.is_file()
    }
    if lost:
        raise OptionError(sorted(lost))
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

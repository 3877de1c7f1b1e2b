"""Run the trainings of a study, each in a process of its own, some at a time."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Protocol

import yaml

from datasets_prep.pool import default_workers

from ..errors import StoppedError
from ..files import write_text
from ..locks import is_held
from ..signals import STOP
from .child import LOCK
from .plan import Run
from .results import read_result
from .time_left import TimeLeft, in_words

POLL_SECONDS = 0.2
TELL_SECONDS = 300.0  # how often the time left is told, and whenever a run has finished
TAIL = 12  # lines of a failed run's output that are shown


@dataclass
class Places:
    """Where runs may go.

    Attributes:
        names: the GPUs, by the system's numbers; as many None as there are processes at a time on a CPU.
        threads: of each process: its share of the cores, and no more than OMP_NUM_THREADS if that is set.
    """

    names: list[Optional[str]]
    threads: int

    @classmethod
    def here(cls, *, jobs: Optional[int], use_gpus: bool) -> 'Places':
        """One place on each GPU; without one, `jobs` places (1 by default) that share the cores."""
        import torch

        gpus: list[Optional[str]] = []
        if use_gpus and torch.cuda.is_available():
            shown = os.environ.get('CUDA_VISIBLE_DEVICES')
            gpus = [*shown.split(',')] if shown else [str(number) for number in range(torch.cuda.device_count())]
        names = gpus[:jobs] or [None] * (jobs or 1)
        cores = default_workers()
        limit = os.environ.get('OMP_NUM_THREADS', '')
        return cls(names, max(1, min(cores // len(names), int(limit) if limit.isdigit() else cores)))


class Started(Protocol):
    """A run that has been started: what Runner asks of a subprocess.Popen."""

    @property
    def returncode(self) -> Optional[int]:
        """Of the run that has ended; None while it runs."""

    def poll(self) -> Optional[int]:
        """Look whether it has ended; its `returncode`."""

    def send_signal(self, number: int, /) -> None:
        """As Popen's."""

    def wait(self) -> Optional[int]:
        """Until it has ended; its `returncode`."""


class Runner:
    """Starts runs when what they need is finished and there is a place for them.

    Args:
        runs: those that have not finished, in the order in which they are wanted.
        tell: is called with a line about what happens.
        finished: is called with each run that has finished.
        start: starts a run; by default :func:`start_child`, a process of this machine.
    """

    def __init__(
        self,
        runs: Sequence[Run],
        places: Places,
        *,
        tell: Callable[[str], None],
        finished: Callable[[Run], None],
        start: Optional[Callable[..., Started]] = None,
    ) -> None:
        self._start_run = start or start_child
        self._waiting = list(runs)
        self._free = list(places.names)
        self._threads = places.threads
        self._tell, self._finished = tell, finished
        self._active: list[_Active] = []
        self._time_left = TimeLeft(places=len(places.names))
        self._told_at = time.monotonic()
        self.failures: dict[str, str] = {}

    def run(self) -> None:
        """Run everything; failures are collected, what needs a failed run is not run.

        Raises:
            StoppedError: a signal came; the runs have saved.
        """
        STOP.listen()
        try:
            while self._waiting or self._active:
                if STOP.name is not None:
                    raise StoppedError(f'stopped by {STOP.name}; start it again to go on')
                self._start_what_can()
                for active in list(self._active):
                    if active.has_ended():
                        self._end(active)
                if time.monotonic() - self._told_at > TELL_SECONDS:
                    self._tell_time_left()
                time.sleep(POLL_SECONDS)
        finally:
            self._stop_all()
            STOP.close()

    def _start_what_can(self) -> None:
        for run in list(self._waiting):
            needs = [need.name for need in run.needs.values()]
            failed = [name for name in needs if name in self.failures]
            if failed:
                self._waiting.remove(run)
                self.failures[run.name] = f'needs {failed[0]}'
            elif self._free and all(read_result(need.folder) for need in run.needs.values()):
                self._waiting.remove(run)
                place = self._free.pop(0)
                self._active.append(self._start(run, place))

    def _start(self, run: Run, place: Optional[str]) -> '_Active':
        if is_held(run.folder / LOCK):
            self._tell(f'{run.name}: a process of an earlier start still has it; waiting')
            return _Active(run, place, None)
        self._tell(f'{run.name}: started' + (f' on GPU {place}' if place is not None else ''))
        self._time_left.start(run)
        return _Active(run, place, self._start_run(run, gpu=place, threads=self._threads))

    def _end(self, active: '_Active') -> None:
        self._active.remove(active)
        self._free.append(active.place)
        run = active.run
        if read_result(run.folder):
            self._time_left.finish(run)
            self._finished(run)
            self._tell_time_left()
        elif active.process is None:
            self._waiting.insert(0, run)
        else:
            output = (run.folder / 'output.txt').read_text(errors='replace').splitlines()[-TAIL:]
            self.failures[run.name] = f'exit code {active.process.returncode}\n    ' + '\n    '.join(output)
            self._tell(f'{run.name}: failed, {self.failures[run.name]}')

    def _tell_time_left(self) -> None:
        self._told_at = time.monotonic()
        active = [each.run for each in self._active]
        seconds = self._time_left.seconds(active=active, waiting=self._waiting)
        if seconds is not None and (active or self._waiting):
            to_do = f'{len(active)} running, {len(self._waiting)} waiting'
            self._tell(f'{in_words(seconds)} left: {to_do}')

    def _stop_all(self) -> None:
        """Ask what runs to save and stop, and wait for it."""
        processes = [active.process for active in self._active if active.process is not None]
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()


@dataclass
class _Active:
    run: Run
    place: Optional[str]
    process: Optional[Started]  # None: of an earlier start of the study

    def has_ended(self) -> bool:
        if self.process is None:
            return not is_held(self.run.folder / LOCK)
        return self.process.poll() is not None


def prepare_folder(run: Run) -> None:
    """Write what the process of a run reads."""
    record = {'entry': run.entry, 'seed': run.seed, 'digest': run.digest, 'num_gpu': run.options['num_gpu']}
    record['iterations'] = run.options['train']['total_iter']
    record['experiment'] = str(Path(run.options['path']['experiments_root']) / run.name)
    run.folder.mkdir(parents=True, exist_ok=True)
    plain = json.loads(json.dumps(run.options))
    options = f'# Written by `basicsr study`.\n{yaml.safe_dump(plain, sort_keys=False)}'
    write_text(run.folder / 'options.yml', options)
    write_text(run.folder / 'run.json', json.dumps(record, indent=1))


def child(folder: Path, *, threads: int, **how: Any) -> subprocess.Popen:
    """A process that trains the run in a folder, appends its output to `output.txt`, and stops when this one has ended.

    Args:
        how: further arguments of Popen; `env` comes beside the environment of this process.
    """
    how['env'] = {**os.environ, 'OMP_NUM_THREADS': str(threads), **how.get('env', {})}
    command = [sys.executable, '-m', 'aibnet_arch.study.child', str(folder), str(os.getpid())]
    with (folder / 'output.txt').open('a') as output:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **how)


def start_child(run: Run, *, gpu: Optional[str], threads: int) -> subprocess.Popen:
    """Start a run."""
    prepare_folder(run)
    environment = {'CUDA_VISIBLE_DEVICES': gpu or ''}
    # Ctrl-C is the study's, which hands it on.
    return child(run.folder, threads=threads, env=environment, start_new_session=True)

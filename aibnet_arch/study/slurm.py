"""Runs of a study as jobs of a slurm cluster, by submitit (extra `slurm`): one job a run, on a folder that all share.

A job runs what a local study starts (child.py). When its time is over, or a more urgent job takes its place, it saves,
and submitit puts it into the queue again, where it goes on.
"""

import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ..errors import OptionError, UserError
from .plan import Run
from .results import read_result
from .running import child, prepare_folder

CLUSTER = 'slurm'  # submitit's name; tests take its 'local'
SECONDS_FOR_FILES = 90.0  # a shared folder may show a job's result so much later
POLL_SECONDS = 0.5


def _submitit() -> Any:
    try:
        import submitit
    except ImportError as error:
        raise UserError('--executor slurm needs submitit: pip install submitit') from error
    return submitit


class RunInJob:
    """What a job calls: it trains the run in a process of its own, and returns its exit code.

    Args:
        directory: the current one of the study, from which the options' paths count.
    """

    def __init__(self, folder: Path, *, directory: Path, threads: int) -> None:
        self.folder, self.directory, self.threads = folder, directory, threads
        self._pid: Optional[int] = None

    def __call__(self) -> int:
        """Run in the job; the exit code."""
        process = child(self.folder, threads=self.threads, cwd=self.directory)
        self._pid = process.pid
        try:
            return process.wait()
        finally:
            process.terminate()  # nothing, if it has ended
            process.wait()

    def checkpoint(self) -> Any:
        """submitit asks, shortly before the job is taken away: save, and say how to go on."""
        if self._pid is not None:
            os.kill(self._pid, signal.SIGTERM)
            # Not by the Popen: its wait() has been interrupted for this, and holds its lock.
            while os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                time.sleep(POLL_SECONDS)
        again = RunInJob(self.folder, directory=self.directory, threads=self.threads)
        return _submitit().helpers.DelayedSubmission(again)


class Job:
    """A submitted run, as :class:`~aibnet_arch.study.running.Runner` sees a process.

    Attributes:
        returncode: of the training; 1 if the job failed otherwise; None until it has ended.
    """

    def __init__(self, run: Run, job: Any) -> None:
        self._run, self._job = run, job
        self._ended_at: Optional[float] = None
        self.returncode: Optional[int] = None

    def poll(self) -> Optional[int]:
        """The exit code, None while it waits or runs."""
        if self.returncode is not None or not self._job.done():
            return self.returncode
        if self._ended_at is None:
            self._ended_at, self._code = time.monotonic(), self._outcome()
        if self._code or read_result(self._run.folder) or time.monotonic() - self._ended_at > SECONDS_FOR_FILES:
            self.returncode = self._code
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Cancel the job: slurm sends SIGTERM first, at which the training saves."""
        self._job.cancel(check=False)

    def wait(self) -> Optional[int]:
        """Until it has ended."""
        while not self._job.done():
            time.sleep(POLL_SECONDS)
        return self.poll()

    def _outcome(self) -> int:
        try:
            return int(self._job.result())
        except _submitit().core.utils.UncompletedJobError as error:  # FailedJobError is one
            with (self._run.folder / 'output.txt').open('a') as output:
                output.write(f'job {self._job.job_id}: {error}\n')
            return 1


class SlurmStarter:
    """Submits runs.

    Args:
        parameters: of slurm by submitit's names (partition, time, cpus_per_task, mem, account, ...).
        use_gpus: ask for a GPU for each run, unless the parameters say which.

    Raises:
        UserError: submitit is not installed, or there is no slurm here.
        OptionError: slurm has no such parameter.
    """

    def __init__(self, folder: Path, *, parameters: Mapping[str, Any], use_gpus: bool) -> None:
        try:
            executor = _submitit().AutoExecutor(folder=folder, cluster=CLUSTER)
        except RuntimeError as error:
            raise UserError(f'--executor slurm: {error}. Start the study where sbatch and srun are.') from error
        asked = dict(parameters)
        if use_gpus and not {'gres', 'gpus_per_node', 'gpus_per_task', 'num_gpus'} & asked.keys():
            asked['gpus_per_node'] = 1
        try:
            executor.update_parameters(
                slurm_job_name='basicsr-study', **{f'slurm_{name}': value for name, value in asked.items()}
            )
        except (NameError, AssertionError) as error:
            raise OptionError([f'--slurm: {str(error).splitlines()[0]}']) from error
        self._executor = executor
        self._threads = int(asked.get('cpus_per_task', 1))

    def __call__(self, run: Run, *, gpu: Optional[str], threads: int) -> Job:
        """Submit a run; which GPU it gets, and how many threads, is slurm's matter."""
        prepare_folder(run)
        call = RunInJob(run.folder.resolve(), directory=Path.cwd(), threads=self._threads)
        return Job(run, self._executor.submit(call))


def parameters_of(pairs: list[str]) -> dict[str, Any]:
    """`name=value` as the parameters of slurm; whole numbers become numbers.

    Raises:
        UserError: a pair is none.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition('=')
        if not name or not equals or not value:
            raise UserError(f'--slurm {pair!r:.80}: expected NAME=VALUE, e.g. partition=gpu')
        found[name] = int(value) if value.isdecimal() else value
    return found

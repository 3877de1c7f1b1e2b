"""Runs of a study as jobs: by submitit's local executor, which runs them as processes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import submitit
import yaml

from aibnet_arch.commands.main import main
from aibnet_arch.errors import OptionError, UserError
from aibnet_arch.study import slurm
from aibnet_arch.study.plan import Run
from aibnet_arch.study.results import Result, read_result
from aibnet_arch.study.slurm import Job, RunInJob, SlurmStarter, parameters_of
from tests.training import make_dataset, options

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope='module')
def studies(tmp_path_factory):
    """One study by both executors."""
    root = tmp_path_factory.mktemp('slurm')
    make_dataset(root, train=4, val=1)
    opt = options(stage_iter=[1, 1], total_iter=2)
    opt['val']['val_freq'] = 1
    (root / 'opt.yml').write_text(yaml.safe_dump(opt))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(root)
        monkeypatch.setenv('PYTHONPATH', str(REPOSITORY))
        monkeypatch.setattr(slurm, 'CLUSTER', 'local')
        assert main(['study', 'opt.yml', '-o', 'here', '--seeds', '4']) == 0
        command = ['study', 'opt.yml', '-o', 'jobs', '--seeds', '4', '--executor', 'slurm', '--slurm', 'partition=x']
        assert main(command) == 0
    return root


def test_both_executors_give_the_same_figures(studies):
    here, jobs = (read_result(studies / out / 'runs/run-s4') for out in ('here', 'jobs'))
    assert here.digest == jobs.digest
    assert [row['metrics'] for row in here.history] == [row['metrics'] for row in jobs.history]
    assert len(jobs.history) == 2
    first, second = ((studies / out / 'table.csv').read_text().splitlines()[1].split(',') for out in ('here', 'jobs'))
    assert first[:4] == second[:4]


def test_jobs_leave_their_logs_and_diagnostics(studies):
    assert list((studies / 'jobs/jobs').glob('*_log.out'))
    assert not (studies / 'here/jobs').exists()
    assert (studies / 'jobs/diagnostics.csv').read_text().startswith('entry,seed,iteration,sub_decoder,level,')


def run_in(folder: Path) -> Run:
    opt = {'num_gpu': 0, 'path': {'experiments_root': str(folder)}, 'train': {'total_iter': 1}}
    return Run('bad', 'bad', 0, opt, {}, 'digest', folder / 'bad')


def test_a_run_that_fails_ends_with_its_exit_code_and_output(tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHONPATH', str(REPOSITORY))
    monkeypatch.setattr(slurm, 'CLUSTER', 'local')
    job = SlurmStarter(tmp_path / 'jobs', parameters={}, use_gpus=False)(run_in(tmp_path), gpu=None, threads=1)
    assert job.wait() == 2
    assert 'basicsr train' in (tmp_path / 'bad/output.txt').read_text()


class Submitted:
    """A job of submitit whose result is given."""

    job_id = '7'

    def __init__(self, result):
        self.ended, self.cancelled, self._result = False, False, result

    def done(self):
        return self.ended

    def cancel(self, check):
        self.cancelled = True

    def result(self):
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


def test_a_job_that_was_killed_is_told(tmp_path):
    run = run_in(tmp_path)
    run.folder.mkdir()
    submitted = Submitted(submitit.core.utils.UncompletedJobError('out of memory'))
    job = Job(run, submitted)
    assert job.poll() is None
    job.send_signal(signal.SIGTERM)
    assert submitted.cancelled
    submitted.ended = True
    assert (job.poll(), job.returncode) == (1, 1)
    assert (run.folder / 'output.txt').read_text() == 'job 7: out of memory\n'


def test_a_result_may_come_later_than_the_end_of_its_job(tmp_path, monkeypatch):
    run = run_in(tmp_path)
    run.folder.mkdir()
    submitted = Submitted(0)
    submitted.ended = True
    job = Job(run, submitted)
    assert job.poll() is None
    Result('bad', 0, 'digest', 1, 1.0, 'x', []).write(run.folder)
    assert job.poll() == 0
    (run.folder / 'result.json').unlink()
    late = Job(run, submitted)
    assert late.poll() is None
    monkeypatch.setattr(slurm, 'SECONDS_FOR_FILES', 0.0)
    time.sleep(0.01)
    assert late.poll() == 0  # without a result: the study takes it for failed


def test_before_a_job_is_taken_away_its_run_is_asked_to_save(tmp_path, monkeypatch):
    saving = (
        'import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(75)); print(1); time.sleep(60)'
    )
    process = subprocess.Popen([sys.executable, '-u', '-c', saving], stdout=subprocess.PIPE)
    process.stdout.readline()
    call = RunInJob(tmp_path, directory=tmp_path, threads=3)
    call._pid = process.pid
    again = call.checkpoint()
    assert process.wait(timeout=5) == 75
    assert isinstance(again.function, RunInJob)
    assert (again.function.folder, again.function.threads, again.function._pid) == (tmp_path, 3, None)


def test_wrong_parameters_are_refused_beforehand(tmp_path, monkeypatch, capsys):
    assert parameters_of(['partition=gpu', 'time=90', 'gres=gpu:a100:1']) == {
        'partition': 'gpu',
        'time': 90,
        'gres': 'gpu:a100:1',
    }
    with pytest.raises(UserError, match="--slurm 'partition': expected NAME=VALUE"):
        parameters_of(['partition'])
    with pytest.raises(UserError, match='srun'):  # none here
        SlurmStarter(tmp_path, parameters={}, use_gpus=True)
    monkeypatch.setattr(slurm, 'CLUSTER', 'local')
    with pytest.raises(OptionError, match="Unknown argument 'partitoin'"):
        SlurmStarter(tmp_path, parameters={'partitoin': 'x'}, use_gpus=True)
    assert main(['study', 'x.yml', '-o', str(tmp_path), '--slurm', 'time=9']) == 2
    assert '--slurm: only with --executor slurm' in capsys.readouterr().err


def test_submitit_is_named_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'submitit', None)
    with pytest.raises(UserError, match='pip install submitit'):
        SlurmStarter(tmp_path, parameters={}, use_gpus=False)

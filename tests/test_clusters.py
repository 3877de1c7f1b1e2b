"""A job script's way through the limits of time, and ranks whose torchrun is killed; one process a run, on the CPU."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.training import make_dataset, options

REPOSITORY = Path(__file__).parent.parent
PATIENCE = 120.0  # seconds


@pytest.fixture
def root(tmp_path):
    make_dataset(tmp_path)
    opt = options(stage_iter=[40, 40], total_iter=80)
    opt['val']['val_freq'] = 1000
    opt['logger']['save_checkpoint_freq'] = 1000
    (tmp_path / 'opt.yml').write_text(yaml.safe_dump(opt))
    return tmp_path


def wait_until(condition) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, 'this took too long'
        time.sleep(0.02)


def saved(root) -> list[int]:
    return sorted(int(path.stem) for path in root.glob('experiments/run/training_states/*.state'))


def has_trained(root, iteration: int) -> bool:
    logs = root.glob('experiments/run/*.log')
    return any(re.search(rf'iter: *{iteration}, lr', log.read_text()) for log in logs)


def environment(tmp_path, **more) -> dict:
    shims = tmp_path / 'bin'
    shims.mkdir()
    for name, text in {
        'scontrol': 'echo "$@" >> scontrol.txt',
        'torchrun': f'exec "{sys.executable}" -m torch.distributed.run "$@"',
    }.items():
        (shims / name).write_text(f'#!/bin/sh\n{text}\n')
        (shims / name).chmod(0o755)
    path = f'{shims}{os.pathsep}{os.environ["PATH"]}'
    return {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPOSITORY), 'PATH': path, **more}


def test_the_job_script_goes_on_over_several_jobs(root):
    variables = environment(root, SLURM_JOB_ID='42', OPT='opt.yml', PROCESSES='1')
    command = ['bash', str(REPOSITORY / 'docs/slurm.sh')]
    with (root / 'job.txt').open('w') as output:
        job = subprocess.Popen(command, cwd=root, env=variables, stdout=output, stderr=subprocess.STDOUT)
        wait_until(lambda: has_trained(root, 2) or job.poll() is not None)
        job.send_signal(signal.SIGUSR1)  # Slurm's warning to the batch shell
        assert job.wait(timeout=PATIENCE) == 0, (root / 'job.txt').read_text()[-3000:]
        assert (root / 'scontrol.txt').read_text() == 'requeue 42\n'
        (first,) = saved(root)
        assert 2 <= first < 80
        again = subprocess.run(
            command, cwd=root, env=variables, stdout=output, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False
        )
    text = (root / 'job.txt').read_text()
    assert again.returncode == 0, text[-3000:]
    assert any(f'iter: {first}.' in log.read_text() for log in root.glob('experiments/run/*.log'))
    assert (root / 'experiments/run/models/net_g_latest.pth').is_file()
    assert (root / 'scontrol.txt').read_text() == 'requeue 42\n'  # a run that is done is not queued again
    assert not list(root.glob('exit_code*'))


def test_ranks_notice_that_torchrun_was_killed_and_save(root):
    command = ['torchrun', '--standalone', '--nproc_per_node=1', '-m', 'aibnet_arch', 'train', '-opt', 'opt.yml']
    variables = environment(root, AIBNET_EXIT_FILE=str(root / 'exit_code'))
    with (root / 'output.txt').open('w') as output:
        agent = subprocess.Popen(
            [*command, '--launcher', 'pytorch'], cwd=root, env=variables, stdout=output, stderr=subprocess.STDOUT
        )
        wait_until(lambda: has_trained(root, 2) or agent.poll() is not None)
        agent.kill()
        agent.wait()
    wait_until(lambda: (root / 'exit_code').exists())
    assert (root / 'exit_code').read_text() == '75\n', (root / 'output.txt').read_text()[-3000:]
    assert len(saved(root)) == 1
    assert 'stopped by the end of its launcher; iteration' in (root / 'output.txt').read_text()

"""How the trial of torchrun finds processes, and whom a signal reaches; the trial itself takes minutes."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from tools import torchrun_trial

pytestmark = pytest.mark.skipif(not os.path.isdir('/proc/self/task'), reason='Linux tells the children of a process')

# As torchrun: two ranks, in sessions of their own, each with a worker in its group. The last argument marks a rank.
WORKER = 'import time; time.sleep(60)'
RANK = f'import subprocess, sys; subprocess.run([sys.executable, "-c", {WORKER!r}])'
AGENT = f"""
import subprocess, sys, time
ranks = [
    subprocess.Popen([sys.executable, '-c', {RANK!r}, 'aibnet_arch'], start_new_session=True) for _ in range(2)
]
other = subprocess.Popen([sys.executable, '-c', {WORKER!r}])
time.sleep(60)
"""


@pytest.fixture
def agent():
    """The agent's number, its two ranks, and the worker of each."""
    process = subprocess.Popen([sys.executable, '-c', AGENT], start_new_session=True)
    deadline = time.monotonic() + 60
    while len(torchrun_trial.descendants_of(process.pid)) < 5:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    family = torchrun_trial.descendants_of(process.pid)
    ranks = torchrun_trial.ranks_of(process.pid)
    yield process.pid, ranks, [torchrun_trial.children_of(rank)[0] for rank in ranks]
    for each in (process.pid, *family):
        if torchrun_trial.is_running(each):
            os.kill(each, signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    ('target', 'reached'),
    [
        ('agent', 'agent'),
        ('group of the agent', 'agent'),
        ('rank', 'rank 1'),
        ('group of a rank', 'rank 1, worker 1'),
        ('all groups', 'agent, rank 0, rank 1, worker 0, worker 1'),
    ],
)
def test_a_signal_reaches_its_target_alone(agent, target, reached):
    number, ranks, workers = agent
    rng = random.Random(0)  # its first choice of two is the second
    told = torchrun_trial.send(number, target=target, number=signal.SIGTERM, rng=rng)
    assert told == (f'{target} (1)' if 'rank' in target else target)
    names = {
        'agent': number,
        **{f'rank {n}': each for n, each in enumerate(ranks)},
        **{f'worker {n}': each for n, each in enumerate(workers)},
    }
    expected = {name: name not in reached.split(', ') for name in names}
    deadline = time.monotonic() + 30
    while (found := {name: torchrun_trial.is_running(each) for name, each in names.items()}) != expected:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)
    time.sleep(0.1)
    assert {name: torchrun_trial.is_running(each) for name, each in names.items()} == expected

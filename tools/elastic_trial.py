"""Two torchrun agents on this computer, as of two machines: one is killed and started again, and the run goes on.

    python -m tools.elastic_trial

The agents meet over loopback, as in docs/training.md. The second one and its rank get SIGKILL in the middle of the
run, and it is started again; the first one restarts its rank, and both go on from the newest checkpoint. The final
weights are compared with those of an undisturbed run.
"""

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import yaml

from tools.tiny_training import assert_equal_weights, make_dataset, options, weights

REPOSITORY = Path(__file__).parent.parent
PATIENCE = 300.0  # seconds
FORGOTTEN = 20.0  # seconds after which the others know that a machine is gone: torchrun's keep_alive, 3 times 5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def agent(root: Path, *, port: int, name: str) -> subprocess.Popen:
    """An agent with one rank; the first one to start holds the store at the port."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--nnodes=2', '--nproc_per_node=1', '--max_restarts=10']
    command += ['--rdzv_id=JOB', '--rdzv_backend=c10d', f'--rdzv_endpoint=127.0.0.1:{port}', '--local_addr=127.0.0.1']
    command += ['-m', 'aibnet_arch', 'train', '-opt', 'opt.yml', '--launcher', 'pytorch', '--auto_resume']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPOSITORY)}
    # Otherwise torch (2.14) tells an agent that joins a later round no address, and both wait until they give up.
    environment['TORCH_DISABLE_SHARE_RDZV_TCP_STORE'] = '1'
    with (root / f'{name}.txt').open('a') as output:
        return subprocess.Popen(command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT)


def ranks_of(process: subprocess.Popen) -> list[int]:
    """The processes that an agent has started (Linux)."""
    children = Path(f'/proc/{process.pid}/task/{process.pid}/children')
    return [int(number) for number in children.read_text().split()] if children.exists() else []


def newest_state(root: Path) -> int:
    return max((int(path.stem) for path in root.glob('experiments/run/training_states/*.state')), default=0)


def wait_for(root: Path, iteration: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while newest_state(root) < iteration:
        if time.monotonic() > deadline:
            raise RuntimeError(f'no checkpoint of iteration {iteration} in {PATIENCE:.0f} s')
        time.sleep(0.05)


def run_two(root: Path, *, kill_at: Optional[int]) -> list[int]:
    """Exit codes of both agents in the end."""
    port = free_port()
    host = agent(root, port=port, name='host')
    time.sleep(1)
    other = agent(root, port=port, name='other')
    if kill_at is not None:
        wait_for(root, kill_at)
        lost = ranks_of(other)
        other.send_signal(signal.SIGKILL)
        for process in lost:
            os.kill(process, signal.SIGKILL)
        other.wait()
        print(f'killed the second agent and {len(lost)} rank(s) after iteration {newest_state(root)}', flush=True)
        time.sleep(FORGOTTEN)
        other = agent(root, port=port, name='other')
    return [host.wait(timeout=PATIENCE), other.wait(timeout=PATIENCE)]


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--total-iter', type=int, default=60)
    arguments = parser.parse_args(argv)
    total = arguments.total_iter
    opt = options(stage_iter=[total // 2, total - total // 2], total_iter=total)
    opt['datasets']['train'].update(batch_size_per_gpu=2, gt_size=24)
    opt['val']['val_freq'] = total
    opt['logger']['keep_checkpoints'] = 3
    with tempfile.TemporaryDirectory() as folder:
        codes = {}
        for name, kill_at in (('killed', total // 3), ('whole', None)):
            root = Path(folder, name)
            root.mkdir()
            make_dataset(root)
            (root / 'opt.yml').write_text(yaml.safe_dump(opt))
            codes[name] = run_two(root, kill_at=kill_at)
        killed, whole = Path(folder, 'killed'), Path(folder, 'whole')
        starts = re.findall(r'Start training from epoch: \d+, iter: (\d+)', (killed / 'host.txt').read_text())
        assert_equal_weights(weights(whole, 'latest'), weights(killed, 'latest'))
    print(f'started from iterations {", ".join(starts)}; exit codes {codes}; final weights bit-equal')
    return 0 if codes['killed'] == codes['whole'] == [0, 0] and len(starts) > 1 else 1


if __name__ == '__main__':
    sys.exit(main())

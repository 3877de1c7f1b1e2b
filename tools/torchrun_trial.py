"""Signals at random moments to torchrun, its ranks and their groups; go on, and compare with an undisturbed run.

    python -m tools.torchrun_trial --count 20

Two ranks (gloo) with data workers of their own. Each trial starts torchrun with --auto_resume and sends SIGTERM or
SIGINT to one target: the agent, one rank, or the process group of the agent, of a rank (its data workers are in it) or
of all of them. Some signals come while the processes start, before there is anything to save. All processes must have
ended soon after, what was saved must equal the undisturbed run's weights of that iteration to the bit, and the next
trial must go on from there.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import yaml

from tools.kill_trial import list_starts, output_of, trial_options
from tools.tiny_training import assert_equal_weights, make_dataset, weights

REPOSITORY = Path(__file__).parent.parent
TARGETS = ('agent', 'rank', 'group of the agent', 'group of a rank', 'all groups')
NAMES = ('SIGTERM', 'SIGINT')
PATIENCE = 300.0  # seconds for a start or an end; the machine may be busy
EARLY = 0.2  # of the signals come before training begins


def start(root: Path) -> subprocess.Popen:
    """torchrun with two ranks, in a session of its own."""
    command = [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc_per_node=2']
    command += ['-m', 'aibnet_arch', 'train', '-opt', 'opt.yml', '--launcher', 'pytorch', '--auto_resume', '--verbose']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPOSITORY)}
    with (root / 'output.txt').open('a') as output:
        return subprocess.Popen(
            command, cwd=root, env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )


def children_of(process: int) -> list[int]:
    """Numbers of the processes that it has started (Linux)."""
    try:
        found = Path(f'/proc/{process}/task/{process}/children').read_text().split()
    except OSError:  # it has ended
        return []
    return [int(number) for number in found]


def descendants_of(process: int) -> list[int]:
    """Its children, and theirs."""
    return [number for child in children_of(process) for number in (child, *descendants_of(child))]


def is_running(process: int) -> bool:
    """Neither gone nor waiting to be collected."""
    try:
        return Path(f'/proc/{process}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'
    except OSError:
        return False


def ranks_of(agent: int) -> list[int]:
    """The two ranks, in their order; what else the agent has started (torch's resource tracker) is left out."""
    return [each for each in children_of(agent) if b'aibnet_arch' in _command_of(each)]


def _command_of(process: int) -> bytes:
    try:
        return Path(f'/proc/{process}/cmdline').read_bytes()
    except OSError:
        return b''


def send(agent: int, *, target: str, number: int, rng: random.Random) -> str:
    """Send the signal; whom it went to. A target that is not there yet is the agent."""
    ranks = ranks_of(agent)
    if target.startswith('group of the') or not ranks:
        os.killpg(agent, number) if 'group' in target else os.kill(agent, number)
        return target if ranks or 'agent' in target else 'agent, before it had ranks'
    if target == 'agent':
        os.kill(agent, number)
        return target
    chosen = ranks if target == 'all groups' else [rng.choice(ranks)]
    for rank in chosen:
        os.killpg(rank, number) if 'group' in target else os.kill(rank, number)
    if target == 'all groups':
        os.killpg(agent, number)
        return target
    return f'{target} ({ranks.index(chosen[0])})'


def one_trial(
    root: Path, *, target: str, name: str, rng: random.Random, longest: float, start_takes: float
) -> dict[str, Any]:
    """Start, send, wait for the end.

    Returns:
        'code' of torchrun, 'to' whom the signal went, 'began': the iteration from which training went on, or None if
        the signal came before; 'saved': the iteration that was said to be saved, 0 if none was done yet, or None;
        'left': processes that had not ended half a minute after torchrun; 'start': seconds until training began.
    """
    starts, told, begin = len(list_starts(root)), len(output_of(root)), time.monotonic()
    process = start(root)
    early = rng.random() < EARLY
    moment = begin + rng.uniform(0, start_takes)
    while len(list_starts(root)) == starts and not (early and time.monotonic() > moment):
        if process.poll() is not None or time.monotonic() > begin + PATIENCE:
            raise RuntimeError(f'torchrun ended, or hung, before training began: see {root}/output.txt')
        time.sleep(0.05)
    took = time.monotonic() - begin
    if not early:
        time.sleep(rng.uniform(0, longest))
    family = [process.pid, *descendants_of(process.pid)]
    to = send(process.pid, target=target, number=signal.Signals[name], rng=rng)
    code = process.wait(timeout=PATIENCE)
    deadline = time.monotonic() + 30
    while any(is_running(each) for each in family) and time.monotonic() < deadline:
        time.sleep(0.05)
    output = output_of(root)[told:]
    saved = re.findall(r'stopped by [\w ]+; iteration (\d+) is saved', output)
    told_nothing = 'before the first iteration: there is nothing to save' in output
    began = list_starts(root)[starts:]
    return {
        'code': code,
        'to': to,
        'began': began[0] if began else None,
        'saved': int(saved[-1]) if saved else 0 if told_nothing else None,
        'left': [each for each in family if is_running(each)],
        'start': took,
    }


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--count', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--longest', type=float, default=2.0, help='seconds of training until the signal, at most')
    parser.add_argument('--total-iter', type=int, default=300)
    parser.add_argument('--workers', type=int, default=2, help='data workers of each rank')
    parser.add_argument('--keep', type=Path, metavar='FOLDER', help='work in this new folder, and leave it')
    arguments = parser.parse_args(argv)
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        base = arguments.keep or Path(folder)
        stopped, whole = base / 'stopped', base / 'whole'
        opt = trial_options(total_iter=arguments.total_iter, width=8, workers=arguments.workers, own_checkpoints=False)
        opt['datasets']['train'].update(batch_size_per_gpu=2, dataset_enlarge_ratio=2)
        for root in (stopped, whole):
            root.mkdir(parents=True)
            make_dataset(root)
        (stopped / 'opt.yml').write_text(yaml.safe_dump(opt))
        opt['logger'].update(save_checkpoint_freq=1, keep_checkpoints=None)
        (whole / 'opt.yml').write_text(yaml.safe_dump(opt))
        begin = time.monotonic()
        undisturbed = start(whole)
        while not list_starts(whole) and undisturbed.poll() is None:
            time.sleep(0.05)
        start_takes = time.monotonic() - begin
        if undisturbed.wait():
            raise RuntimeError(f'the undisturbed run failed:\n{output_of(whole)[-3000:]}')
        codes: Counter = Counter()
        faults = saves = newest = 0
        for trial in range(arguments.count):
            target, name = TARGETS[trial % len(TARGETS)], NAMES[trial // len(TARGETS) % len(NAMES)]
            done = one_trial(
                stopped, target=target, name=name, rng=rng, longest=arguments.longest, start_takes=start_takes
            )
            fault = ''
            if done['left']:
                fault = f'{len(done["left"])} processes did not end'
            elif done['began'] not in (None, newest):
                fault = f'went on from {done["began"]}'
            elif done['began'] is not None and done['saved'] is None:
                fault = 'nothing saved'
            elif done['code'] == 0:
                fault = 'exit code 0'
            saves += done['saved'] is not None
            if done['saved']:
                newest = done['saved']
                for key in ('params', 'params_ema'):
                    assert_equal_weights(weights(whole, newest, key), weights(stopped, newest, key))
            codes[done['code']] += 1
            faults += bool(fault)
            moment = 'at the start' if done['began'] is None else f'training from {done["began"]}'
            print(
                f'trial {trial}: {name} to {done["to"]}, {moment}: exit code {done["code"]}, '
                f'iteration {newest} {"saved" if done["saved"] is not None else "kept"}'
                f'{", FAULT: " + fault if fault else ""}',
                flush=True,
            )
        last = start(stopped).wait()
        for key in ('params', 'params_ema'):
            assert_equal_weights(weights(whole, 'latest', key), weights(stopped, 'latest', key))
    print(
        f'{arguments.count - faults} of {arguments.count} signals were survived ({saves} saved, the others came before '
        f'training); exit codes of torchrun {dict(codes)}, of the last run {last}; '
        'each checkpoint and the final weights bit-equal to the undisturbed run'
    )
    return 1 if faults or last else 0


if __name__ == '__main__':
    sys.exit(main())

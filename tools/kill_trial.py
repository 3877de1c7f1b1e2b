"""Kill a training run at random moments, go on with --auto_resume, and compare with an undisturbed run.

    python -m tools.kill_trial --count 40
    python -m tools.kill_trial --count 100 --signal TERM --group

Each trial is a process of its own (forked, which spares the imports). With SIGKILL checkpoints of about 45 MB are
written every iteration, so that most kills meet one being written. With the other signals, which ask to save and stop,
there are no other checkpoints; with --group 4 workers get them, too, and start anew every third iteration, so that many
signals meet workers that are just starting.
"""

import argparse
import os
import random
import re
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Optional

import torch
import yaml

from aibnet_arch.basicsr_patches.preparation import prepare
from aibnet_arch.commands.main import main as basicsr
from aibnet_arch.signals import SIGNALS
from tools.tiny_training import assert_equal_weights, make_dataset, options, reset_logger, weights

RUN = 'experiments/run'


def trial_options(*, total_iter: int, width: int, workers: int = 0, own_checkpoints: bool = True) -> dict:
    opt = options(stage_iter=[total_iter // 2, total_iter - total_iter // 2], total_iter=total_iter, ema_decay=0.9)
    opt['network_g']['width'] = width
    opt['datasets']['train'].update(gt_size=16, batch_size_per_gpu=2)
    opt['val']['val_freq'] = 10
    opt['logger']['keep_checkpoints'] = 3
    if not own_checkpoints:
        opt['logger']['save_checkpoint_freq'] = opt['val']['val_freq'] = 10**6
    if workers:
        opt['datasets']['train'].update(num_worker_per_gpu=workers, batch_size_per_gpu=3)
    return opt


def start(root: Path) -> int:
    """A run in a process of its own; returns its number."""
    process = os.fork()
    if process:
        return process
    os.setpgid(0, 0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
    os.chdir(root)
    sys.stdout = sys.stderr = open('output.txt', 'a', buffering=1)  # noqa: SIM115  open as long as the process
    reset_logger()
    torch.set_num_threads(1)
    code = 1
    try:
        code = basicsr(['train', '-opt', 'opt.yml', '--auto_resume', '--verbose'])
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)  # the folder is not this process's to clear


def wait(process: int) -> int:
    """Exit code of a process."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def kill_and_resume(root: Path, *, count: int, seed: int, longest: float) -> dict:
    """Kill `count` runs, each up to `longest` seconds after its first new iteration; then let one finish.

    Returns:
        'resumed': how often the next run went on with the newest or the last but one logged iteration;
        'met_saving': how many kills left a half-written file; 'exit': exit code of the last run.
    """
    rng = random.Random(seed)
    outcome = {'resumed': 0, 'met_saving': 0}
    last = 0
    for trial in range(count + 1):
        before = len(list_starts(root))
        process = start(root)
        while len(list_starts(root)) == before and os.waitpid(process, os.WNOHANG)[0] == 0:
            time.sleep(0.002)
        if trial == count:
            outcome['exit'] = wait(process)
        else:
            time.sleep(rng.uniform(0, longest))
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)
        if trial:
            outcome['resumed'] += list_starts(root)[before] >= last - 1
        last = newest_logged(root)
        outcome['met_saving'] += bool(list(root.glob(f'{RUN}/*/*.part')))
        print(f'trial {trial}: {"finished" if trial == count else "killed"} after iteration {last}', flush=True)
    return outcome


def stop_and_resume(root: Path, *, count: int, seed: int, longest: float, name: str, group: bool) -> dict:
    """Stop `count` runs by a signal, each up to `longest` seconds after it began to train; then let one finish.

    Returns:
        'saved': how many ended with 75 and said that the iteration is saved from which the next went on; 'codes': exit
        codes and how often; 'exit': exit code of the last run.
    """
    rng = random.Random(seed)
    outcome: dict = {'saved': 0, 'codes': Counter()}
    said, number = 0, signal.Signals[f'SIG{name}']
    for trial in range(count + 1):
        before = len(list_starts(root))
        process = start(root)
        while len(list_starts(root)) == before:
            if os.waitpid(process, os.WNOHANG)[0]:
                raise RuntimeError(f'trial {trial} ended before it began to train: see {root}/output.txt')
            time.sleep(0.002)
        went_on = list_starts(root)[before] == said
        outcome['saved'] += bool(trial) and went_on
        if trial == count:
            outcome['exit'] = wait(process)
            break
        time.sleep(rng.uniform(0, longest))
        (os.killpg if group else os.kill)(process, number)
        code = wait(process)
        outcome['codes'][code] += 1
        told = re.findall(r'stopped by \w+; iteration (\d+) is saved|(there is nothing to save)', output_of(root))
        said = int(told[-1][0] or said)
        print(f'trial {trial}: exit code {code}, iteration {said}{"" if went_on else ", NOT RESUMED"}', flush=True)
    return outcome


def output_of(root: Path) -> str:
    return (root / 'output.txt').read_text() if (root / 'output.txt').exists() else ''


def list_starts(root: Path) -> list[int]:
    """The iterations from which runs started training."""
    return [int(n) for n in re.findall(r'Start training from epoch: \d+, iter: (\d+)', output_of(root))]


def newest_logged(root: Path) -> int:
    found = re.findall(r'iter: *(\d+), lr', (root / 'output.txt').read_text())
    return int(found[-1]) if found else 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--count', type=int, default=40)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--longest', type=float, default=2.0, help='seconds until a run is killed, at most')
    parser.add_argument('--total-iter', type=int, default=300)
    parser.add_argument('--signal', default='KILL', choices=['KILL', *(n.name.removeprefix('SIG') for n in SIGNALS)])
    parser.add_argument('--group', action='store_true', help='to the group of processes, 4 workers among them')
    arguments = parser.parse_args(argv)
    by_kill = arguments.signal == 'KILL'
    prepare()
    import_module('aibnet_arch.basicsr_patches.train_pipeline')  # once for all processes
    with tempfile.TemporaryDirectory() as folder:
        killed, whole = Path(folder, 'killed'), Path(folder, 'whole')
        opt = trial_options(
            total_iter=arguments.total_iter,
            width=24 if by_kill else 8,
            workers=4 if arguments.group else 0,
            own_checkpoints=by_kill,
        )
        for root in (killed, whole):
            root.mkdir()
            make_dataset(root)
            (root / 'opt.yml').write_text(yaml.safe_dump(opt))
        how = {'count': arguments.count, 'seed': arguments.seed, 'longest': arguments.longest}
        if by_kill:
            outcome = kill_and_resume(killed, **how)
        else:
            outcome = stop_and_resume(killed, **how, name=arguments.signal, group=arguments.group)
        wait(start(whole))
        for key in ('params', 'params_ema'):
            assert_equal_weights(weights(whole, 'latest', key), weights(killed, 'latest', key))
        size = sum(path.stat().st_size for path in (killed / RUN).glob(f'*/*{arguments.total_iter}.*')) / 1e6
    if not by_kill:
        print(
            f'{outcome["saved"]} of {arguments.count} were saved by SIG{arguments.signal}, and went on from there; '
            f'exit codes {dict(outcome["codes"])}; final weights bit-equal to the undisturbed run'
        )
        all_well = outcome['saved'] == outcome['codes'][75] == arguments.count
        return 0 if all_well and outcome['exit'] == 0 else 1
    print(
        f'{outcome["resumed"]} of {arguments.count} went on, none lost more than one iteration; '
        f'{outcome["met_saving"]} kills met a file being written ({size:.0f} MB a checkpoint); '
        'final weights bit-equal to the undisturbed run'
    )
    return 0 if outcome['resumed'] == arguments.count and outcome['exit'] == 0 else 1


if __name__ == '__main__':
    sys.exit(main())

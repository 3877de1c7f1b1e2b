"""One run of a study, in a process of its own: `basicsr train`, and its result.

    python -m aibnet_arch.study.child FOLDER

FOLDER has `options.yml` and `run.json`; `result.json` comes to it when the training has finished.
"""

import json
import os
import platform
import signal
import sys
import threading
import time
from pathlib import Path

from ..basicsr_patches.preparation import prepare
from ..errors import RunError
from ..exit_codes import exit_code_of
from ..locks import Lock
from ..training.history import History
from .results import Result

LOCK = 'lock'
WATCH_SECONDS = 0.5


def main(folder: Path, *, parent: int) -> int:
    """Train to the end, going on from the newest checkpoint, and write the result; the exit code of training."""
    if hasattr(signal, 'SIGUSR2'):  # slurm sends it to all processes of a job; submitit's acts on it
        signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    with Lock(folder / LOCK):
        threading.Thread(target=_stop_without, args=(parent,), daemon=True).start()
        code = exit_code_of('basicsr train', lambda: _train(folder / 'options.yml'))
        if code == 0:
            _result(folder).write(folder)
    return code


def _train(options: Path) -> int:
    prepare()
    from ..basicsr_patches.train_pipeline import train  # once BasicSR can be imported

    train(['-opt', str(options), '--auto_resume', '--verbose'])
    return 0


def _stop_without(parent: int) -> None:
    """Ask this process to save and stop when the study that started it has ended."""
    while os.getppid() == parent:
        time.sleep(WATCH_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)


def _result(folder: Path) -> Result:
    import torch

    run = json.loads((folder / 'run.json').read_text())
    history = History(Path(run['experiment'])).rows()
    if not history or history[-1]['iteration'] != run['iterations']:
        raise RunError(f'{run["experiment"]}: the training ended without a validation of its last iteration')
    device = platform.processor() or platform.machine()
    if torch.cuda.is_available() and run['num_gpu'] != 0:
        device = torch.cuda.get_device_name()
    same = {name: run[name] for name in ('entry', 'seed', 'digest', 'iterations')}
    device = f'{device}, {torch.get_num_threads()} threads'
    return Result(**same, seconds=history[-1]['seconds'], device=device, history=history)


if __name__ == '__main__':
    sys.exit(main(Path(sys.argv[1]), parent=int(sys.argv[2])))

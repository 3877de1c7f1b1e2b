"""A case, the folder in which it runs, and values that nobody means well with."""

import contextlib
import os
import random
import shutil
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main as basicsr
from tools.tiny_training import METRICS, NETWORK, dataset_options, make_dataset, options, reset_logger

FORGED = 'basicsr: all is well'
# Characters that end a line somewhere, move the cursor, turn the direction of text, or are no text at all.
CHARACTERS = ('\n', '\r', '\x1b[2K', '\x1b]0;x\x07', '\x9b31m', '\x85', '\u2028', '\u202e', '\x00', '\x7f', '\udcff')
WORDS = ('x', 'train', 'é', '名', '🙂', "'", '"', '\\', '%s', '{0}', '$(id)', '../..', '~', '*', 'a' * 300)


@dataclass
class Case:
    """What is called, and what it is about."""

    arguments: list[str]
    told: Any


def hostile_text(rng: random.Random) -> str:
    """A text with what terminals obey, and a line that pretends to be a command's."""
    parts = [rng.choice((*WORDS, *CHARACTERS)) for _ in range(rng.randint(1, 4))]
    if rng.random() < 0.5:
        parts.append(f'\n{FORGED}')
    return ''.join(parts)


def hostile_value(rng: random.Random, depth: int = 0) -> Any:
    """A value of any type for an option or an entry of a file."""
    simple = (
        lambda: None,
        lambda: rng.random() < 0.5,
        lambda: rng.choice((0, -1, 1, 2**31, 2**63, -(2**63), 10**30, 10**400)),
        lambda: rng.choice((0.0, -0.0, 1e308, -1.5, 1e-320, float('inf'), float('nan'))),
        lambda: hostile_text(rng),
        lambda: rng.choice(('/proc', '/sys/x', '/proc/self/mem', '/dev/zero', '/dev/stdin', '', ' ', '.', '/', 'data')),
        lambda: 'd/' * 1300,
        lambda: [hostile_value(rng, depth + 1) for _ in range(rng.randint(0, 3))] if depth < 3 else [],
        lambda: {hostile_text(rng): hostile_value(rng, depth + 1) for _ in range(rng.randint(0, 3))},
    )
    return rng.choice(simple if depth < 3 else simple[:6])()


def nested(rng: random.Random, value: Any) -> Any:
    """The value deep inside lists and mappings."""
    for _ in range(rng.choice((3, 50))):
        value = [value] if rng.random() < 0.5 else {'x': value}
    return value


class Sandbox:
    """A folder with a small dataset, weights, and a run that has three iterations behind it.

    Attributes:
        root: the folder, which is the current one.
        network: of the weights `sound.pth`.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.options = options(stage_iter=[2, 2], total_iter=4)
        self.options['val']['val_freq'] = 2
        self.network = AIBNet(**{key: value for key, value in NETWORK.items() if key != 'type'})

    @classmethod
    def made(cls, root: Path) -> 'Sandbox':
        """With everything in it."""
        root.mkdir()
        os.chdir(root)
        sandbox = cls(root)
        make_dataset(root)
        torch.save({'params': sandbox.network.state_dict()}, 'sound.pth')
        sandbox.write_options(sandbox.options)
        reset_logger()
        with open('output.txt', 'w') as output, contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = basicsr(['train', '-opt', 'opt.yml'])
        if code:
            raise RuntimeError('the run that the cases damage could not be made')
        for path in Path('experiments/run').glob('*/*'):
            if path.stem.endswith(('4', 'latest')):
                path.unlink()
        Path('experiments').rename('sound_experiments')
        return sandbox

    def option_copy(self) -> dict:
        return deepcopy(self.options)

    def test_options(self) -> dict:
        """Of `basicsr test` on the sound weights."""
        test = {key: deepcopy(self.options[key]) for key in ('model_type', 'scale', 'num_gpu', 'network_g')}
        test.update(name='tested', datasets={'test': {**dataset_options('val'), 'name': 'val'}})
        return {**test, 'path': {'pretrain_network_g': 'sound.pth'}, 'val': {'save_img': True, 'metrics': METRICS}}

    def write_options(self, opt: Any) -> None:
        Path('opt.yml').write_text(yaml.dump(opt, sort_keys=False), encoding='utf-8', errors='surrogatepass')

    def bring_run(self) -> Path:
        """The run of before in its place."""
        shutil.copytree('sound_experiments', 'experiments')
        return Path('experiments/run')

    def tidy(self) -> None:
        """Take away what a case has made."""
        os.chdir(self.root)
        kept = {'data', 'sound.pth', 'sound_experiments', 'opt.yml'}
        for path in self.root.iterdir():
            if path.name not in kept:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()

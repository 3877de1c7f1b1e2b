"""What the tests of whole runs share: a run of the command in this process, beside :mod:`tools.tiny_training`."""

from pathlib import Path

import yaml

from aibnet_arch.basicsr_patches.preparation import prepare
from aibnet_arch.commands.main import main
from tools.tiny_training import (
    METRICS,
    NETWORK,
    assert_equal_weights,
    dataset_options,
    make_dataset,
    options,
    reset_logger,
    weights,
)

__all__ = [
    'METRICS',
    'NETWORK',
    'assert_equal_weights',
    'dataset_options',
    'log_of',
    'make_dataset',
    'model_class',
    'options',
    'reset_logger',
    'run',
    'weights',
]


def run(opt: dict, *, root: Path, monkeypatch, command: str = 'train', flags: tuple = ()) -> int:
    """Run ``basicsr COMMAND`` on these options with `root` as the current directory; return the exit code."""
    monkeypatch.chdir(root)
    (root / 'opt.yml').write_text(yaml.safe_dump(opt, sort_keys=False))
    reset_logger()
    return main([command, '-opt', 'opt.yml', *flags])


def model_class() -> type:
    """AIBNetModel, which can be imported only after BasicSR's mend."""
    prepare()
    from aibnet_arch.training.aibnet_model import AIBNetModel

    return AIBNetModel


def log_of(root: Path, name: str = 'run') -> str:
    """All log files of a run, joined."""
    folder = root / ('results' if name.startswith('test') else 'experiments') / name
    return '\n'.join(path.read_text() for path in sorted(folder.glob('*.log')))

"""Which keys of an option file nothing reads: misspelled ones, and those that stand in the wrong section.

The code that will run is the model class, the datasets and the pipelines; `source` finds what they read.
"""

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Optional

from ...messages import did_you_mean
from .source import SECTIONS, UNKNOWN, Reads, reads_of

# The pipelines, and what they hand options to.
_PIPELINE = (
    'basicsr.train',
    'basicsr.test',
    'basicsr.utils.options',
    'basicsr.utils.misc',
    'basicsr.utils.logger',
    'basicsr.utils.dist_util',
    'basicsr.models',
)
_LOADING = ('basicsr.data', 'basicsr.data.prefetch_dataloader')
# Modules here that run in the place of BasicSR's, whatever the model class.
_STAND_INS = (
    'basicsr_patches.model_methods',
    'basicsr_patches.train_pipeline',
    'checkpoints.folder',
    'config.command_line',
    'config.option_file',
    'data.loading',
    'data.order',
    'data.patch_schedule',
    'data.prefetch',
    'distributed',
    'evaluation.result_page',
    'evaluation.validation',
    'registries.name_owners',
    'registries.on_demand',
    'training.history',
    'training.random_states',
    'training.resumed_options',
    'training.iteration',
    'training.resuming',
    'training.step_guard',
    'training.validations',
)
_HERE = __name__.partition('.')[0]
_INSTALLED = ('torch', 'torchvision', 'numpy', 'abc', 'builtins', 'typing', 'collections')
# What the storages of BasicSR's FileClient take.
_BACKENDS = {'disk': ('type',), 'lmdb': ('type', 'readonly', 'lock', 'readahead', 'map_size', 'max_readers')}
_SET_BY_COMMAND = {
    '': ('auto_resume', 'is_train', 'dist', 'rank', 'world_size', 'root_path', 'manual_seed_is_drawn'),
    'path': ('models', 'training_states', 'log', 'visualization'),
}
_SLURM = ('backend', 'port')  # what dist_util.init_dist takes


def check_keys(opt: Mapping[str, Any], model: Optional[type], datasets: Mapping[str, type]) -> Iterator[str]:
    """A message for each key that nothing reads.

    Args:
        opt: the options; sections that are no mappings are passed over.
        model: the registered class of `model_type`; None if it is not registered.
        datasets: phase to registered class, where it is registered.
    """
    of_model = reads_by(model, root='') if model else None
    of_datasets = {phase: reads_by(cls, root='datasets') for phase, cls in datasets.items()}
    everything = Reads()
    for reads in (of_model, *of_datasets.values()):
        everything |= reads or Reads()
    for section in ('', *SECTIONS, 'logger.wandb') if of_model else ():
        yield from _unread(section, section, _at(opt, section), of_model, everything)
    yield from _unread('dist_params', '', _at(opt, 'dist_params'), Reads({'': frozenset(_SLURM)}))
    for phase, reads in of_datasets.items():
        place, dataset = f'datasets.{phase}', opt['datasets'][phase]
        if reads:
            yield from _unread(place, 'datasets', dataset, reads, everything)
        backend = dataset.get('io_backend')
        kind = backend.get('type') if isinstance(backend, Mapping) else None
        if isinstance(kind, str) and kind in _BACKENDS:
            yield from _unread(f'{place}.io_backend', '', backend, Reads({'': frozenset(_BACKENDS[kind])}))


def check_set_by_command(opt: Mapping[str, Any]) -> Iterator[str]:
    """A message for each key whose value the command would overwrite: BasicSR reads them, but not from the file.

    Args:
        opt: the options; `datasets` holds mappings alone.
    """
    for section, keys in _SET_BY_COMMAND.items():
        for key in keys:
            if key in _at(opt, section):
                flag = ' (--auto_resume is a flag of the command)' if key == 'auto_resume' else ''
                yield f'{section + "." if section else ""}{key}: the command sets it itself; leave it out{flag}'
    for phase, dataset in opt['datasets'].items():
        if dataset.get('phase', phase.split('_')[0]) != phase.split('_')[0]:
            yield f'datasets.{phase}.phase: {dataset["phase"]!r}: the phase of a dataset is its key; leave it out'
        if dataset.get('scale', opt.get('scale')) != opt.get('scale'):
            yield f'datasets.{phase}.scale: {dataset["scale"]!r}, but scale is {opt.get("scale")!r}; leave it out here'


def _at(opt: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    value: Any = opt
    for key in section.split('.') if section else ():
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def _unread(
    place: str, section: str, given: Iterable[str], reads: Reads, everything: Optional[Reads] = None
) -> Iterator[str]:
    """Args: `everything` is what all the code of the run reads, for the hint where a key belongs."""
    for key in given:
        if not reads.knows(section, key):
            hint = did_you_mean(key, sorted(reads.of(section)))
            belongs = everything.elsewhere(section, key) if everything else None
            if belongs is not None:
                below = {'': 'at the top level', 'datasets': 'below a dataset'}.get(belongs, f'below {belongs}')
                hint = f' (it belongs {below})'
            yield f'{place + "." if place else ""}{key}: nothing reads this key{hint}'


@cache
def reads_by(cls: type, *, root: str) -> Optional[Reads]:
    """What a registered class and BasicSR's pipelines read.

    Args:
        cls: a model class or a dataset.
        root: the section that ``self.opt`` is in it: '' or 'datasets'.

    Returns:
        None if the source of a module cannot be had: then nothing is known.
    """
    own = {sys.modules[base.__module__] for base in cls.__mro__ if _package(base.__module__) not in _INSTALLED}
    own |= {other for module in own for other in _imported(module)}
    loading = [import_module(name) for name in _LOADING]
    pipeline = [import_module(name) for name in _PIPELINE]
    stand_ins = [import_module(f'{_HERE}.{name}') for name in _STAND_INS]
    reads = Reads()
    try:
        for module in own:
            trusted = _package(module.__name__) in ('basicsr', _package(__name__))
            default = root if root == 'datasets' else UNKNOWN
            reads |= reads_of(module, root=root, default=default, trusted=trusted)
        for module in loading:
            reads |= reads_of(module, root='datasets', default='datasets')
        for module in (*pipeline, *stand_ins):
            reads |= reads_of(module, root='')
    except (OSError, TypeError, SyntaxError):
        return None
    return reads


def _package(name: str) -> str:
    return name.partition('.')[0]


def _imported(module: ModuleType) -> Iterator[ModuleType]:
    """Modules of the same package whose functions and classes a module uses."""
    for value in vars(module).values():
        name = value.__name__ if inspect.ismodule(value) else getattr(value, '__module__', None)
        if isinstance(name, str) and _package(name) == _package(module.__name__) and name in sys.modules:
            yield sys.modules[name]

"""Which keys of an option file nothing reads: misspelled ones above all.

There is no list of BasicSR's options. What is known is the code that will run: a key that stands as a
string in none of its modules is read by nobody. That holds for model classes and datasets of other
plugins, too.
"""

import ast
import inspect
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Optional

from .option_file import did_you_mean

# The pipelines, and what they hand options to.
_PIPELINE = (
    'basicsr.train', 'basicsr.test', 'basicsr.utils.options', 'basicsr.utils.misc', 'basicsr.utils.logger',
    'basicsr.utils.dist_util', 'basicsr.data', 'basicsr.data.prefetch_dataloader', 'basicsr.models',
)  # fmt: skip
# Options that belong to a network have its name at the end: param_key_g for network_g.
_OF_A_NETWORK = ('pretrain_network_', 'strict_load_', 'param_key_')
_NESTED = {
    'logger.wandb': ('project', 'resume_id'),
    'io_backend': {'disk': ('type',), 'lmdb': ('type', 'readonly', 'lock', 'readahead', 'map_size')},
}


def check_keys(opt: Mapping) -> Iterator[str]:
    """A message for each key that nothing reads.

    Args:
        opt: options whose structure is sound: sections are mappings, `model_type` and the types of the datasets
            are registered.
    """
    from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY

    model_keys = keys_read_by(MODEL_REGISTRY.get(opt['model_type']))
    if model_keys is not None:
        given = [key for key in opt if not key.startswith('network_')]
        yield from _unread('', given, model_keys)
        for section in ('train', 'val', 'logger'):
            yield from _unread(f'{section}.', opt.get(section) or (), model_keys)
        networks = [key.removeprefix('network_') for key in opt if key.startswith('network_')]
        of_networks = {f'{prefix}{network}' for prefix in _OF_A_NETWORK for network in networks}
        # What stands in the code with such a beginning is of some network that the class knows.
        own = {key for key in model_keys if key not in of_networks and not _belongs_to_other(key, networks)}
        yield from _unread('path.', opt.get('path') or (), own | of_networks)
    wandb = (opt.get('logger') or {}).get('wandb')
    if isinstance(wandb, Mapping):
        yield from _unread('logger.wandb.', wandb, _NESTED['logger.wandb'])
    for phase, dataset in opt['datasets'].items():
        keys = keys_read_by(DATASET_REGISTRY.get(dataset['type']))
        if keys is not None:
            yield from _unread(f'datasets.{phase}.', dataset, keys)
        backend = dataset.get('io_backend')
        if isinstance(backend, Mapping) and backend.get('type') in _NESTED['io_backend']:
            yield from _unread(f'datasets.{phase}.io_backend.', backend, _NESTED['io_backend'][backend['type']])


def _belongs_to_other(key: str, networks: Sequence[str]) -> bool:
    """Whether it is such an option as param_key_d, without a network_d."""
    return bool(re.fullmatch(r'(param_key|strict_load)_\w+|pretrain_network_\w', key)) and not key.endswith(
        tuple(networks)
    )


def _unread(before: str, given: Iterable[str], known: Collection[str]) -> Iterator[str]:
    for key in given:
        if key not in known:
            likely = sorted(name for name in known if name.islower())
            yield f'{before}{key}: nothing reads this key{did_you_mean(key, likely)}'


def keys_read_by(cls: type) -> Optional[frozenset[str]]:
    """Strings that may be keys, in the modules that a registered class and BasicSR's pipelines consist of.

    Returns:
        None if the source of a module cannot be had.
    """
    modules = [sys.modules[base.__module__] for base in cls.__mro__ if base.__module__ != 'builtins']
    modules = [module for module in modules if module.__name__.partition('.')[0] not in ('torch', 'abc')]
    near = [other for module in modules for other in _imported(module)]
    found: set[str] = set()
    for module in {*modules, *near, *map(import_module, _PIPELINE), *_toolbox()}:
        strings = _strings(module)
        if strings is None:
            return None
        found |= strings
    return frozenset(found)


def _imported(module: ModuleType) -> Iterator[ModuleType]:
    """Modules of the same package whose functions and classes a module uses."""
    package = module.__name__.partition('.')[0]
    for value in vars(module).values():
        name = value.__name__ if inspect.ismodule(value) else getattr(value, '__module__', None)
        if isinstance(name, str) and name.partition('.')[0] == package and name in sys.modules:
            yield sys.modules[name]


def _toolbox() -> Iterator[ModuleType]:
    """Modules here that stand in for BasicSR's."""
    for path in Path(__file__).parent.glob('*.py'):
        if not path.stem.startswith(('__', 'preflight')):
            yield import_module(f'{__package__}.{path.stem}')


@cache
def _strings(module: ModuleType) -> Optional[frozenset[str]]:
    """Identifiers that stand as strings in a module, and the fields of its dataclasses."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return None
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    fields = {node.target.id for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)
              and isinstance(node.target, ast.Name)}  # fmt: skip
    return frozenset(string for string in strings | fields if string.isidentifier())

"""Checks of names that BasicSR's registries must know, and of the arguments that go with them."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Optional

from ...messages import did_you_mean
from ...registries.other_networks import how_to_get


def registered(registry: Any, name: Any) -> Optional[Any]:
    """What is registered under a name, as BasicSR looks it up (its own may be called NAME_basicsr), or None."""
    for full in (name, f'{name}_basicsr') if isinstance(name, str) else ():
        if full in registry:
            return registry.get(full)
    return None


def is_trusted(thing: Any) -> bool:
    """Whether a class or function is BasicSR's or this package's, so that it is known how they use options."""
    return getattr(thing, '__module__', '').partition('.')[0] in ('basicsr', __name__.partition('.')[0])


def check_registered(opt: Mapping[str, Any]) -> Iterator[str]:
    """Names that the registries do not know, and arguments that the networks and losses do not take."""
    from basicsr.utils import registry

    if opt.get('model_type') is not None:
        yield from _check_name(opt['model_type'], registry.MODEL_REGISTRY, 'model_type')
    for key, value in opt.items():
        if key.startswith('network_') and value is not None:
            yield from check_call(value, registry.ARCH_REGISTRY, key)
    for phase, dataset in opt['datasets'].items():
        if isinstance(dataset, Mapping):
            yield from _check_name(dataset.get('type'), registry.DATASET_REGISTRY, f'datasets.{phase}.type')
    for key, value in (opt.get('train') or {}).items():
        if value and key.endswith('_opt') and (key == 'pixel_opt' or (isinstance(value, Mapping) and 'type' in value)):
            yield from check_call(value, registry.LOSS_REGISTRY, f'train.{key}')


def _check_name(name: Any, registry: Any, place: str) -> Iterator[str]:
    if name is None:
        yield f'{place} is missing'
    elif registered(registry, name) is None:
        hint = how_to_get(name) if place.startswith('network_') and isinstance(name, str) else ''
        yield f'{place}: {name!r} is not registered{hint or did_you_mean(name, list(registry.keys()))}'


def check_call(options: Any, registry: Any, place: str, given: tuple = ()) -> Iterator[str]:
    """Whether the registered class or function can be called with these options."""
    if not isinstance(options, Mapping):
        yield f'{place}: expected keys and values, found {options!r}'
        return
    wrong = list(_check_name(options.get('type'), registry, f'{place}.type'))
    yield from wrong
    if wrong:
        return
    called = registered(registry, options['type'])
    parameters = inspect.signature(called).parameters
    keys = [key for key in options if key != 'type']
    if not _takes_any(called, parameters):
        for key in keys:
            if key not in parameters:
                yield f'{place}.{key}: {options["type"]} has no such option{did_you_mean(key, list(parameters))}'
    for name, parameter in parameters.items():
        positional = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if positional and parameter.default is parameter.empty and name not in (*keys, *given):
            yield f'{place}.{name} is missing: {options["type"]} needs it'


def _takes_any(called: Callable, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether it reads keywords that it does not name. BasicSR's metrics take them, and read none."""
    for parameter in parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            try:
                return inspect.getsource(called).count(parameter.name) > 1
            except (OSError, TypeError):
                return True  # its source cannot be had
    return False

"""Checks of names that BasicSR's registries must know, and of the arguments that go with them."""

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ...messages import closest, did_you_mean
from ...registries.lookup import meant, registered
from ...registries.other_networks import how_to_get
from ..problems import Problem, missing, place_of, problem
from ..schema.signatures import taken


def check_registered(opt: Mapping[str, Any]) -> Iterator[Problem]:
    """Names that the registries do not know, and arguments that the networks and losses do not take."""
    from basicsr.utils import registry

    if isinstance(opt.get('model_type'), str):
        yield from _check_name(opt['model_type'], registry.MODEL_REGISTRY, 'model_type')
    for key, value in opt.items():
        if key.startswith('network_') and value is not None:
            yield from check_call(value, registry.ARCH_REGISTRY, key)
    for phase, dataset in opt['datasets'].items():
        if isinstance(dataset.get('type'), str):
            yield from _check_name(dataset['type'], registry.DATASET_REGISTRY, f'datasets.{phase}.type')
    train = opt.get('train')
    for key, value in train.items() if isinstance(train, Mapping) else ():
        if key.endswith('_opt') and isinstance(value, Mapping) and (value or key == 'pixel_opt'):
            yield from check_call(value, registry.LOSS_REGISTRY, f'train.{key}')


def _check_name(name: Any, registry: Any, place: str) -> Iterator[Problem]:
    if name is None:
        yield missing(place)
    elif registered(registry, name) is None:
        hint = how_to_get(name) if place.startswith('network_') and isinstance(name, str) else ''
        yield problem(place, f'{name!r} is not registered', hint or did_you_mean(name, list(registry.keys())))


def check_call(options: Any, registry: Any, place: str, given: tuple = ()) -> Iterator[Problem]:
    """Whether the registered class or function can be called with these options.

    Args:
        given: arguments that it gets otherwise.
    """
    if not options or not isinstance(options, Mapping):
        yield problem(place, f'expected keys and values, found {options!r}' if options else 'there is nothing in it')
        return
    if registered(registry, options.get('type')) is None:
        yield from _check_name(options.get('type'), registry, f'{place}.type')
    called = meant(registry, options.get('type'))
    if called is None:
        return
    takes = taken(called)
    unknown = [key for key in options if key != 'type' and key not in takes.parameters and not takes.takes_any]
    absent = [name for name in takes.parameters if name not in (*options, *given)]
    # Until it is mended, nothing is known of an option that is meant.
    spoiled = {key: closest(key, absent) for key in unknown}
    for key in unknown:
        text, fix = f'{called.__name__} has no such option', did_you_mean(key, list(takes.parameters))
        spoils = tuple(place_of(f'{place}.{each}') for each in (key, spoiled[key]) if each)
        yield problem(f'{place}.{key}', text, fix, spoils=spoils)
    for name in absent:
        if takes.parameters[name].default is inspect.Parameter.empty and name not in spoiled.values():
            yield missing(f'{place}.{name}', f': {called.__name__} needs it')

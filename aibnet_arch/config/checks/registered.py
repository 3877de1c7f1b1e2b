"""Checks of names that BasicSR's registries must know, and of the arguments that go with them."""

from collections.abc import Iterator, Mapping
from typing import Any

from ...messages import did_you_mean
from ...registries.lookup import registered
from ...registries.other_networks import how_to_get
from ..problems import Problem, missing, problem
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
    called = registered(registry, options.get('type'))
    if called is None:
        yield from _check_name(options.get('type'), registry, f'{place}.type')
        return
    takes = taken(called)
    for key in options:
        if key != 'type' and key not in takes.parameters and not takes.takes_any:
            text = f'{options["type"]} has no such option'
            yield problem(f'{place}.{key}', text, did_you_mean(key, list(takes.parameters)))
    for name, parameter in takes.parameters.items():
        if parameter.default is parameter.empty and name not in (*options, *given):
            yield missing(f'{place}.{name}', f': {options["type"]} needs it')

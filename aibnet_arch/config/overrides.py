"""Options that the command line changes: ``--force_yml train:optim_g:lr=1e-4``."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Optional

from ..errors import OptionError
from ..messages import did_you_mean
from .option_file import parse_yaml


def apply_overrides(opt: dict, overrides: Iterable[str]) -> None:
    """Set options as ``--force_yml`` gives them.

    Values are YAML, so that types are as in a file. Nothing is evaluated, and a key must stand in the options or in
    the schema.

    Raises:
        OptionError: no such key, or no `=`.
    """
    problems = []
    for override in overrides:
        path, equals, text = override.partition('=')
        *above, key = [key.strip() for key in path.split(':')]
        place = f'--force_yml {override!r}'
        if not equals:
            problems.append(f'{place}: expected KEY:KEY=VALUE')
            continue
        known = [':'.join((*above, name)) for name in _declared(opt, above)]
        given = list(_paths(opt))
        name = ':'.join((*above, key))
        if name not in given and name not in known:
            problems.append(f'{place}: the options have no {name}{did_you_mean(name, given + known)}')
            continue
        try:
            value = parse_yaml(text, name=place)
        except OptionError as error:
            problems += error.problems
            continue
        section = opt
        for each in above:
            if not isinstance(section.get(each), Mapping):
                section[each] = {}
            section = section[each]
        section[key] = None if value in ('None', 'none') else value
    if problems:
        raise OptionError(problems)


def _paths(opt: Mapping[str, Any], before: str = '') -> Iterator[str]:
    for key, value in opt.items():
        yield f'{before}{key}'
        if isinstance(value, Mapping):
            yield from _paths(value, f'{before}{key}:')


def _declared(opt: Mapping[str, Any], above: Sequence[str]) -> list[str]:
    """Keys that may stand in a section, by the schema."""
    from .schema.declared import SECTIONS, keys_of_dataset, keys_of_model, names, submodel
    from .schema.signatures import taken

    section, *rest = above or ['']
    options = opt.get(section)
    if section.startswith('network_') and isinstance(options, Mapping) and not rest:
        network = _registered('ARCH', options.get('type'))
        return list(taken(network).parameters) if network else []
    if section == 'datasets' and rest and isinstance(options, Mapping) and isinstance(options.get(rest[0]), Mapping):
        model = keys_of_dataset(_registered('DATASET', options[rest[0]].get('type'))).sections['']
        rest = rest[1:]
    else:
        sections = keys_of_model(_registered('MODEL', opt.get('model_type'))).sections
        model, rest = (sections[section], rest) if section in SECTIONS else (sections[''], [section, *rest])
    for key in rest:
        below = submodel(model, key)
        if below is None:
            return []
        model = below
    return names(model)


def _registered(registry: str, name: Any) -> Optional[Any]:
    if name is None:
        return None
    from basicsr.utils import registry as registries

    from ..registries.lookup import registered

    return registered(getattr(registries, f'{registry}_REGISTRY'), name)

"""What is in a file of weights, in lines to read."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..messages import printable, some
from .wanted import at, options_tree

# Of the training's options, unless all of them are asked for.
SHOWN = (
    *('name', 'model_type', 'manual_seed'),
    *('datasets.train.name', 'datasets.train.gt_size', 'datasets.train.batch_size_per_gpu'),
    *('path.pretrain_network_encoder', 'train.strategy', 'train.stage_iter', 'train.total_iter'),
    *('train.optim_g.type', 'train.optim_g.lr', 'train.ema_decay'),
)


def lines(description: Mapping[str, Any], *, whole: bool) -> Iterator[str]:
    """What :func:`.describe` found and, under 'problems', what is wrong with it.

    Args:
        description: names and texts in it are the file's, and may hold anything.
        whole: all options of the training, not only those of most interest.
    """
    yield f'{printable(description["file"])} ({description["bytes"] / 1e6:,.2f} MB)'
    facts = _training_state(description) if 'epoch' in description else _weights(description, whole=whole)
    record = description['record']
    facts += [('SHA-256', description['sha256'] + (f', {record} with the record beside it' if record else ''))]
    facts += [('problem', problem) for problem in description['problems']]
    for name, value in facts:
        first, *others = str(value).split('\n')
        yield f'  {name:<10}  {first}'
        yield from (f'  {"":<10}  {line}' for line in others)


def _weights(description: Mapping[str, Any], *, whole: bool) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = []
    told = None
    card = description['card']
    if card:
        facts += [('name', f'{card["name"]}, version {card["version"]}'), ('expect', card['expect'])]
        facts += [(name, card[name]) for name in ('recipe', 'licence') if card[name]]
    for key, entry in description['entries'].items():
        network = entry['network']
        if network is not None and network != told:
            facts += _network(network)
            told = network  # of params and params_ema once
        elif network is None:
            facts.append(('network', 'not known to this package'))
        count = f'{entry["tensors"]} tensors, {entry["numbers"] / 1e6:,.3f} M numbers, {" ".join(entry["types"])}'
        finite = 'not all finite' if entry['not_finite'] else 'all finite'
        facts.append(('entry', f'{printable(key) or "(bare state dict)"}: {count}, {finite}'))
    if description['others']:
        facts.append(('also in it', some(description['others'])))
    if description['iteration'] is not None:
        facts.append(('iteration', f'{description["iteration"]:,d}'))
    wanted = description['wanted']
    if wanted['window']:
        crops = f', trained on crops of {wanted["crop"]}' if wanted['crop'] else ''
        facts.append(('inference', f'with a window of {wanted["window"]} pixels{crops}'))
    if description['options'] is not None:
        facts.append(('options', description['options'].rstrip() if whole else _short(description['options'])))
    return facts


def _network(network: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    size = f', {network["parameters"] / 1e6:,.3f} M parameters' if network['parameters'] else ''
    yield 'network', network['architecture'] + size
    if network['arguments']:
        yield 'arguments', ' '.join(f'{name}={_compact(value)}' for name, value in network['arguments'].items())
    if network['trained']:
        yield 'stage', f'{network["trained"]} of {network["arguments"]["num_sub_decoders"]} sub-decoders are trained'


def _training_state(description: Mapping[str, Any]) -> list[tuple[str, Any]]:
    facts = [('state', 'of a training, to go on with'), ('iteration', f'{description["iteration"]:,d}')]
    facts += [(name, description[name]) for name in ('epoch', 'stage') if description[name] is not None]
    for optimizer in description['optimizers']:
        rates = ', '.join(f'{rate:.3g}' for rate in optimizer['learning_rates'])
        facts.append(('optimizer', f'of {optimizer["parameters"]} parameter tensors, learning rate {rates}'))
    facts.append(('schedulers', description['schedulers']))
    return [*facts, ('also in it', some(description['others']) or 'nothing')]


def _short(options: str) -> str:
    """The options of most interest, one line; `--options` prints the rest."""
    tree = options_tree(options)
    if not tree:
        return f'{len(options)} characters, no YAML of an option file (--options prints them)'
    found = {path: at(tree, path) for path in SHOWN}
    told = (f'{path}={_compact(value)}' for path, value in found.items() if _is_short(value))
    return f'{" ".join(told)} (--options prints all)'


def _is_short(value: Any) -> bool:
    """A value, or a short list of values: what a file holds may be anything."""
    values = value if isinstance(value, list) and 0 < len(value) <= 8 else [value]
    return all(isinstance(each, (str, int, float, bool)) for each in values)


def _compact(value: Any) -> str:
    return f'[{",".join(map(str, value))}]' if isinstance(value, (list, tuple)) else str(value)[:200]

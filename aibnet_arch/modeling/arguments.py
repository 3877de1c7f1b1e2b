"""Which values of AIBNet's arguments can make a network. They come from option files and from files of weights."""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from ..messages import did_you_mean
from .channel_logits import LOGIT_SCALES
from .encoders import ENCODERS
from .fusion import FUSIONS
from .hfs_block import MASKED_LOGITS
from .level_settings import LEVELS
from .sfdh_block import SFEM_WEIGHTS
from .spatial import SPATIAL_MODULES

MOST_PARTS = 4000  # blocks and masks; AIBNet-L has 170. To build millions takes hours, and then the memory.
SWITCHES = ('normalize_logits', 'sfem', 'hfs_block', 'branch_scale', 'freeze_encoder', 'code_noise')
# Those that came later, with what weights from before stand for.
LATER = {
    'sfem': True,
    'hfs_block': True,
    'masked_logits': 'dropped',
    'fusion': 'none',
    'spatial': 'sfem',
    'alpha_deviation': 0.1,
    'logit_scale': 'beta',
    'logit_scale_init': None,
    'lambda_init': None,
    'sfem_weight': 'channel',
    'branch_scale': False,
}
# What parameters start at: from, to. Beyond, a network computes nothing in float32.
STARTS: dict[str, tuple[float, float]] = {
    'alpha_deviation': (1e-6, 10.0),
    'logit_scale_init': (1e-6, 1e6),
    'lambda_init': (-1e3, 1e3),
}
AT_LEAST = {
    'width': 1,
    'middle_blocks': 0,
    'num_sub_decoders': 1,
    'blocks_per_level': 0,
    'num_masks': 0,
    'decoupler_groups': 1,
}
CHOICES: dict[str, Collection[str]] = {
    'encoder': ENCODERS,
    'fusion': ('none', *FUSIONS),
    'masked_logits': MASKED_LOGITS,
    'logit_scale': LOGIT_SCALES,
    'sfem_weight': SFEM_WEIGHTS,
    'spatial': SPATIAL_MODULES,
}


class ArgumentsError(ValueError):
    """Arguments that make no network.

    Attributes:
        problems: what is wrong, a text each that begins with the argument's name; the message has them all, a line
            each.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__('\n'.join(problems))
        self.problems = tuple(problems)


def check_arguments(arguments: Mapping[str, Any]) -> None:
    """Check types and ranges.

    Python would take 'false' for true, and -3 blocks for none.

    Args:
        arguments: all of AIBNet's constructor.

    Raises:
        ArgumentsError: it names every argument that is wrong.
    """
    wrong = value_problems(arguments)
    problems = [*wrong.values(), *_wrong_together(arguments, wrong)]
    if problems:
        raise ArgumentsError(problems)


def value_problems(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments whose own value is wrong, whatever goes together, and a text for each."""
    wrong = _wrong_values(arguments)
    return {name: f'{name}={arguments[name]!r:.80}: expected {expected}' for name, expected in wrong.items()}


def _wrong_values(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Arguments whose own value is wrong, and what was expected."""
    wrong = {}
    for name, least in AT_LEAST.items():
        if not _whole(arguments[name]) or arguments[name] < least:
            wrong[name] = f'a whole number, {least} or more'
    if not _four(arguments['encoder_blocks'], least=0):
        wrong['encoder_blocks'] = f'{LEVELS} numbers, whole ones from 0 up'
    heads = arguments['heads']
    if not (_whole(heads) and heads >= 1) and not _four(heads, least=1):
        wrong['heads'] = f'one number or {LEVELS}, whole ones from 1 up'
    alpha = arguments['alpha_init']
    if not _number(alpha) or not abs(alpha) <= sys.float_info.max:
        wrong['alpha_init'] = 'a number'
    for name, (from_, to) in STARTS.items():
        value = arguments[name]
        if value is None and LATER[name] is None:
            continue
        if not _number(value) or not from_ <= value <= to:
            wrong[name] = f'a number from {from_:g} to {to:g}'
    for name in SWITCHES:
        if not isinstance(arguments[name], bool):
            wrong[name] = 'true or false'
    for name, choices in CHOICES.items():
        value = arguments[name]
        if not isinstance(value, str) or value not in choices:
            hint = did_you_mean(value, list(choices)) if isinstance(value, str) else ''
            wrong[name] = f'one of {", ".join(choices)}{hint}'
    return wrong


def _wrong_together(arguments: Mapping[str, Any], wrong: Collection[str]) -> Iterator[str]:
    """What does not go together, of the arguments that are right each by itself."""

    def are_right(*names: str) -> bool:
        return not any(name in wrong for name in names)

    if are_right('spatial', 'sfem') and arguments['spatial'] != 'sfem' and not arguments['sfem']:
        yield f'spatial={arguments["spatial"]!r} stands in the place of SFEM, which sfem=False leaves out'
    if are_right('code_noise', 'encoder') and arguments['code_noise'] and arguments['encoder'] != 'ufpnet':
        yield 'code_noise belongs to the ufpnet encoder'
    if not are_right('encoder_blocks', 'middle_blocks', 'num_sub_decoders', 'blocks_per_level', 'num_masks'):
        return
    in_sub_decoders = LEVELS * arguments['num_sub_decoders'] * (arguments['blocks_per_level'] + 1)
    in_encoder = sum(arguments['encoder_blocks']) + arguments['middle_blocks']
    if in_encoder + in_sub_decoders + arguments['num_masks'] > MOST_PARTS:
        yield (
            'encoder_blocks, middle_blocks, num_sub_decoders, blocks_per_level and num_masks make more than '
            f'{MOST_PARTS} blocks and masks'
        )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _four(value: Any, *, least: int) -> bool:
    sequence = isinstance(value, Sequence) and not isinstance(value, str)
    return sequence and len(value) == LEVELS and all(_whole(number) and number >= least for number in value)

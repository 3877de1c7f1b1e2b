"""Which values AIBNet's arguments can have, in the words of JSON Schema: what its annotations do not say."""

from typing import Any

from ...modeling.arguments import AT_LEAST, CHOICES, STARTS
from ...modeling.level_settings import LEVELS

OPEN = ('spatial',)  # a plugin may add names, which the network then takes: editors offer ours, and mark no other


def values_of_arguments() -> dict[str, dict[str, Any]]:
    """Argument to the keywords of JSON Schema that limit it."""
    values: dict[str, dict[str, Any]] = {name: {'minimum': least} for name, least in AT_LEAST.items()}
    values |= {name: {'minimum': from_, 'maximum': to} for name, (from_, to) in STARTS.items()}
    for name, choices in CHOICES.items():
        values[name] = {'examples' if name in OPEN else 'enum': list(choices)}
    values['encoder_blocks'] = _one_a_level(0)
    values['heads'] = {'anyOf': [{'type': 'integer', 'minimum': 1}, {'type': 'array', **_one_a_level(1)}]}
    return values


def _one_a_level(least: int) -> dict[str, Any]:
    return {'items': {'type': 'integer', 'minimum': least}, 'minItems': LEVELS, 'maxItems': LEVELS}

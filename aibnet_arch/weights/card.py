"""What a file of weights says of itself to people: its name, its version, and what to expect."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Optional

from ..errors import CheckpointError
from .weight_file import WeightFile

MOST_CHARACTERS = 1 << 16


@dataclass(frozen=True)
class Card:
    """Kept as JSON under ``card`` in a file of weights.

    Attributes:
        expect: one line: what they do to a picture.
        recipe: how they can be made again.
        figures: measured, name to number; the names end in their units where they have one.
    """

    name: str
    version: str
    expect: str
    recipe: str = ''
    licence: str = ''
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_text(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))

    def line(self) -> str:
        """One line for people."""
        return f'{self.name}, version {self.version}: {self.expect}'

    @classmethod
    def of(cls, weights: WeightFile) -> Optional['Card']:
        """The card of a file; None if it has none.

        Raises:
            CheckpointError: it is damaged.
        """
        return None if weights.card is None else cls.parse(weights.card, where=weights.where)

    @classmethod
    def parse(cls, text: str, *, where: object = 'the file') -> 'Card':
        """Read it from JSON.

        Raises:
            CheckpointError: it is damaged.
        """
        try:
            fields = json.loads(text) if len(text) <= MOST_CHARACTERS else None
        except (ValueError, RecursionError):
            fields = None
        texts = ('name', 'version', 'expect', 'recipe', 'licence')
        if (
            not isinstance(fields, dict)
            or set(fields) != {*texts, 'figures'}
            or not all(isinstance(fields[name], str) for name in texts)
            or not isinstance(fields['figures'], dict)
            or not all(type(value) in (int, float) for value in fields['figures'].values())
        ):
            raise CheckpointError(f'{where}: its card is damaged: {text!r:.80}')
        return cls(**fields)

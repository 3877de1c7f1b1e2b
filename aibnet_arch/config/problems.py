"""What is wrong with options, as records: where, what, and what to do. They are put into words once, at the end."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Union

from ..messages import printable

# Our own lists go on in indented lines; another line is not ours.
_FORGED, _ESCAPED = re.compile(r'\n(?! )'), r'\\n'
Place = tuple[str, ...]  # ('train', 'optim_g', 'lr')


def place_of(dotted: str) -> Place:
    """('train', 'optim_g') of 'train.optim_g'; the top level is ''."""
    return tuple(dotted.split('.')) if dotted else ()


@dataclass(frozen=True)
class Problem:
    """Something wrong.

    Attributes:
        place: the key, from the top level down; empty if the text says where.
        fix: what to do, where the text does not say it; it follows the text as it is.
        joint: what stands between place and text.
        spoils: places that other checks cannot rely on while this is wrong; by default the place itself.
    """

    place: Place
    text: str
    fix: str = ''
    joint: str = ': '
    spoils: Optional[tuple[Place, ...]] = None

    def __str__(self) -> str:
        place = '.'.join(map(printable, self.place)) + self.joint if self.place else ''
        return place + _FORGED.sub(_ESCAPED, self.text + self.fix)

    @property
    def spoiled(self) -> tuple[Place, ...]:
        """The places that cannot be relied on."""
        return (self.place,) * bool(self.place) if self.spoils is None else self.spoils


def problem(dotted: str, text: str, fix: str = '', *, spoils: Optional[tuple[Place, ...]] = None) -> Problem:
    """A problem of a place that is written with dots."""
    return Problem(place_of(dotted), text, fix, spoils=spoils)


def missing(dotted: str, fix: str = '') -> Problem:
    """The problem that a key is not there."""
    return Problem(place_of(dotted), 'is missing', fix, joint=' ')


class Report:
    """The problems found so far, and the warnings, which refuse nothing."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def add(self, found: Iterable[Union[Problem, str]]) -> None:
        """Take what a check yields; a class of another package may yield mere texts."""
        self.problems += [each if isinstance(each, Problem) else Problem((), each) for each in found]

    def is_sound(self, *places: Union[str, Place]) -> bool:
        """Whether nothing is wrong in these places, below them, or with a section that holds them."""
        spoiled = [place for each in self.problems for place in each.spoiled]
        asked = [place_of(each) if isinstance(each, str) else each for each in places]
        return not any(bad[: len(place)] == place[: len(bad)] for bad in spoiled for place in asked)

    def sound_part(self, options: Mapping[str, Any], *, at: Place = ()) -> dict[str, Any]:
        """The options without what is wrong."""
        spoiled = {place for each in self.problems for place in each.spoiled}
        return {
            key: self.sound_part(value, at=(*at, key)) if isinstance(value, Mapping) else value
            for key, value in options.items()
            if (*at, key) not in spoiled
        }

"""Keys of an option file that nothing reads: misspelled ones, and those that stand in the wrong section.

The schema declares what is read (`config/schema/`), and other packages' classes declare theirs. Arguments of networks,
losses and metrics are declared by signatures: see `registered`; those of optimizers and schedules: see `training`.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from pydantic import BaseModel

from ...messages import closest
from ..problems import Problem, place_of
from ..schema.declared import ERROR, UNKNOWN, names, submodel
from .sections import Given

# BasicSR reads these from the options, but the command sets them, whatever the file says.
SET_BY_COMMAND = {
    '': ('auto_resume', 'is_train', 'dist', 'rank', 'world_size', 'root_path', 'manual_seed_is_drawn'),
    'path': ('models', 'training_states', 'log', 'visualization'),
}


def check_keys(sections: Sequence[Given]) -> Iterator[tuple[Problem, bool]]:
    """Each key that no section declares.

    Yields:
        The problem, and whether it refuses the file. It does not where the class declares no keys of its own, and so
        may read it.
    """
    for given in sections:
        for path in _undeclared(given):
            *above, key = path
            place = given.at('.'.join(path))
            if key in SET_BY_COMMAND.get(given.place, ()) and not above:
                flag = ' (--auto_resume is a flag of the command)' if key == 'auto_resume' else ''
                yield Problem(place_of(place), f'the command sets it itself; leave it out{flag}', spoils=()), True
            elif above or given.other_keys != UNKNOWN:
                yield _misspelled(given, path, sections), bool(above) or given.other_keys == ERROR


def _undeclared(given: Given) -> Iterator[tuple[str, ...]]:
    """Paths of the keys, from the section down."""
    for error in given.errors():
        if error['type'] == 'extra_forbidden':
            yield tuple(map(str, error['loc']))


def _misspelled(given: Given, path: tuple[str, ...], sections: Sequence[Given]) -> Problem:
    """The problem of a key, with what may be meant: a key beside it, or the same key in another section."""
    *above, key = path
    model: Optional[type[BaseModel]] = given.keys
    beside: Any = given.options
    for part in above:
        model = submodel(model, part) if model else None
        beside = beside[part]
    place = place_of(given.at('.'.join(path)))
    below = None if above else _other_section(key, given, sections)
    if below:
        return Problem(place, 'nothing reads this key', f' (it belongs {below})', spoils=())
    close = closest(key, names(model) if model else [])
    if close is None:
        return Problem(place, 'nothing reads this key', spoils=())
    # Until it is mended, nothing is known of the key that is meant.
    meant = () if close in beside else ((*place[:-1], close),)
    return Problem(place, 'nothing reads this key', f' (did you mean {close!r}?)', spoils=meant)


def _other_section(key: str, given: Given, sections: Sequence[Given]) -> Optional[str]:
    """'below train', say, if this is the one other section with such a key."""
    words: Mapping[str, str] = {'': 'at the top level', 'datasets': 'below a dataset'}
    kinds = {other.place.partition('.')[0] for other in sections if key in names(other.keys)}
    kind = kinds.pop() if len(kinds) == 1 else given.place.partition('.')[0]
    return None if kind == given.place.partition('.')[0] else words.get(kind, f'below {kind}')

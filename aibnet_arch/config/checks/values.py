"""Options that are missing, of a wrong type or out of range, by the schema."""

from collections.abc import Iterator, Sequence

from ..problems import Problem, missing, place_of, problem
from ..schema.declared import needed_when
from ..schema.kinds import TOP
from .sections import Given

_NO_SECTION = ('model_type', 'dict_type')  # pydantic's names of the errors


def check_values(given: Given, *, when: str) -> Iterator[Problem]:
    """What is wrong with the values of a section."""
    for error in given.errors():
        place, value = given.at('.'.join(map(str, error['loc']))), error['input']
        if error['type'] == 'missing' or (value is None and _is_required(given, error['loc'])):
            yield missing(place)
        elif error['type'] in _NO_SECTION:
            yield problem(place, f'expected keys and values, found {value!r}')
        elif error['type'] != 'extra_forbidden':  # told as misspelled
            yield problem(place, f'{value!r}: {error["msg"]}')
    for key in needed_when(given.keys, when):
        if given.options.get(key) is None:
            yield missing(given.at(key))


def check_scale(sections: Sequence[Given]) -> Iterator[Problem]:
    """Whether `scale` is there, if a dataset needs it, and `scale` and `phase` of a dataset are what the command sets.

    Args:
        sections: of the file, the top level first.
    """
    scale = sections[0].options.get('scale')
    datasets = [given for given in sections if given.place.startswith('datasets.')]
    if scale is None and any('scale' in needed_when(given.keys, TOP) for given in datasets):
        yield missing('scale')
    for given in datasets:
        phase = given.place.removeprefix('datasets.').split('_')[0]
        for key, value, text in (
            ('phase', phase, 'the phase of a dataset is its key; leave it out'),
            ('scale', scale, f'but scale is {scale!r}; leave it out here'),
        ):
            stated = given.options.get(key, value)
            if stated != value:
                joint = ', ' if key == 'scale' else ': '
                yield Problem(place_of(given.at(key)), f'{stated!r}{joint}{text}', spoils=())


def _is_required(given: Given, loc: tuple) -> bool:
    field = given.keys.model_fields.get(str(loc[0])) if len(loc) == 1 else None
    return field is not None and field.is_required()

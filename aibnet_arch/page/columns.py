"""Figures of pictures on a page: which way is better, their means, and numbers that JSON has no literals for."""

import math
from collections.abc import Mapping, Sequence

BETTER = ('higher', 'lower')
# Parts of the names of metrics that grow with what is wrong.
_LOWER = ('lpips', 'dists', 'niqe', 'brisque', 'fid', 'mae', 'mse', 'error', 'loss', 'seconds')


def usual_better(metric: str) -> str:
    """'lower' for distances, errors and times, 'higher' for everything else."""
    return 'lower' if any(part in metric.lower() for part in _LOWER) else 'higher'


def columns(rows: Sequence[Mapping[str, float]], *, better: Mapping[str, str]) -> list[dict]:
    """What the page says of each metric, in the order in which the metrics first appear.

    As in the summary of a test, infinite values (equal pictures) are left out of a mean and counted, and a value that
    is not a number makes the mean none either.

    Args:
        rows: metric to value, for each picture; a picture may lack some.
        better: metric to 'higher' or 'lower', where it is not as `usual_better` says.

    Returns:
        name, better, mean (JSON, see `json_number`; None without values) and a note on what the mean leaves out.
    """
    found = []
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row[name] for row in rows if name in row]
        finite = [value for value in values if math.isfinite(value)]
        notes = []
        if len(values) < len(rows):
            notes.append(f'over the {len(values)} of {len(rows)} pictures that have it')
        if any(map(math.isnan, values)):
            mean = math.nan
            notes.append(f'not a number in {sum(map(math.isnan, values))}')
        else:
            mean = sum(finite) / len(finite) if finite else values[0]
            if finite and len(finite) < len(values):
                notes.append(f'without {len(values) - len(finite)} infinite')
        which = better.get(name) or usual_better(name)
        found.append({'name': name, 'better': which, 'mean': json_number(mean), 'note': ', '.join(notes)})
    return found


def json_number(value: float) -> object:
    """The number, or 'inf', '-inf' or 'nan'."""
    return value if math.isfinite(value) else str(value)

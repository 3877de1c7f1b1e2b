"""Several networks in one test: what each is called, in columns and in names of files."""

from collections.abc import Sequence
from pathlib import Path
from typing import Optional


def column(metric: str, label: Optional[str]) -> str:
    """The column of a metric; `label` says of which network, None if there is one alone."""
    return metric if label is None else f'{metric} {label}'


def labels_of(files: Sequence[str]) -> dict[str, str]:
    """A name for each file of weights, to the file: all different.

    It is the file's name without its suffix; that of the run for ``RUN/models/net_g_latest.pth``.
    """
    found: dict[str, str] = {}
    for file in files:
        path = Path(file)
        run = path.absolute().parent
        name = run.parent.name if run.name == 'models' and run.parent.name else path.stem
        if name in found:
            name = f'{name}_{path.stem}'
        label, number = name, 2
        while label in found:
            label, number = f'{name}_{number}', number + 1
        found[label] = file
    return found

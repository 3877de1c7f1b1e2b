"""Whether a run could write where its options put it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any


def check_folders(opt: Mapping[str, Any], *, is_train: bool) -> Iterator[str]:
    """A message if the folder of the run cannot be made, or what is in it cannot be changed."""
    kind = 'experiments' if is_train else 'results'
    base = Path(os.path.expanduser(opt['path'].get(f'{kind}_root') or kind))
    name = opt.get('name')
    inside = (base / name, base / name / 'models', base / name / 'training_states') if isinstance(name, str) else ()
    there = next((folder for folder in (base, *base.parents) if os.path.lexists(folder)), Path())
    for folder in (there, *(folder for folder in inside if os.path.lexists(folder))):
        if not os.path.isdir(folder):
            yield f'path.{kind}_root: {folder} is in the way: it is no folder'
            return
        if not os.access(folder, os.W_OK | os.X_OK):
            yield f'path.{kind}_root: {folder.absolute()} cannot be written to: set it to a folder of yours'
            return

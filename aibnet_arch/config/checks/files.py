"""Whether the files are there that options name, and whether a run could write where they put it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...messages import printable
from ...weights import box
from ..problems import Problem, problem

DEEPEST = 200  # levels; Python makes them one inside the other, and has an end to that


def check_files(opt: Mapping[str, Any]) -> Iterator[Problem]:
    """Weights and states that do not exist; the encoder's are the model class's to explain."""
    for key, value in opt['path'].items():
        names_file = key == 'resume_state' or key.startswith('pretrain_network_')
        if not names_file or not isinstance(value, str) or key == 'pretrain_network_encoder':
            continue
        path = box.FILE if value == box.BOX and key != 'resume_state' else os.path.expanduser(value)
        if not os.path.isfile(path):
            yield problem(f'path.{key}', f'there is no file {printable(value)}')


def check_folders(opt: Mapping[str, Any], *, is_train: bool) -> Iterator[Problem]:
    """A problem if the folder of the run cannot be made, or what is in it cannot be changed."""
    used = 'experiments' if is_train else 'results'
    for kind in ('experiments', 'results'):
        given = opt['path'].get(f'{kind}_root')
        # BasicSR makes both, where they are not there.
        if kind == used or (isinstance(given, str) and not os.path.isdir(os.path.expanduser(given))):
            yield from _check_folder(kind, given or kind, opt.get('name'))


def _check_folder(kind: str, root: str, name: object) -> Iterator[Problem]:
    base = Path(os.path.expanduser(root))
    if len(base.parts) > DEEPEST:
        yield problem(f'path.{kind}_root', f'a folder {len(base.parts):,d} levels deep: at most {DEEPEST} are made')
        return
    inside = (base / name, base / name / 'models', base / name / 'training_states') if isinstance(name, str) else ()
    there = next((folder for folder in (base, *base.parents) if os.path.lexists(folder)), Path())
    for folder in (there, *(folder for folder in inside if os.path.lexists(folder))):
        if not os.path.isdir(folder):
            yield problem(f'path.{kind}_root', f'{printable(folder)} is in the way: it is no folder')
            return
        if not os.access(folder, os.W_OK | os.X_OK):
            yield problem(
                f'path.{kind}_root',
                f'{printable(folder.absolute())} cannot be written to',
                ': set it to a folder of yours',
            )
            return

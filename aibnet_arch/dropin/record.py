"""Files put into somebody's folder, with a record of them, so that they can be taken out again.

The record is written before the files: whatever ends the command in between, it can be undone.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from glob import escape
from pathlib import Path

from ..errors import RunError, UserError
from ..files import PART, write_whole
from ..messages import printable

RECORD = '.aibnet-dropin.json'


def put(folder: Path, files: Mapping[str, str]) -> bool:
    """Write files below a folder, all of them or none. What is there stays.

    Args:
        folder: it exists.
        files: path below it to text.

    Returns:
        Whether anything was written; False: all of it is there already.

    Raises:
        UserError: a file is in the way, other files were put there before, or one cannot be written.
    """
    wanted = {path: _checksum(text.encode()) for path, text in files.items()}
    if (folder / RECORD).exists():
        if _read(folder)['files'] == wanted and all(_state(folder, path, wanted[path]) == 'ours' for path in wanted):
            return False
        raise UserError(
            f'{printable(folder)}: AIBNet was dropped in here before, with other settings or another version, or its '
            'files have changed. Undo that first: basicsr dropin CHECKOUT --undo'
        )
    in_the_way = [path for path in files if os.path.lexists(folder / path)]
    if in_the_way:
        raise UserError(
            f'{printable(folder)}: {", ".join(in_the_way)} is there already, and not written by this command. Nothing '
            'was written. Move it away first.'
        )
    missing = sorted({str(parent) for path in files for parent in Path(path).parents if not (folder / parent).exists()})
    record = {'files': wanted, 'folders': missing}
    done = False
    try:
        _create(folder / RECORD, json.dumps(record, indent=1) + '\n')
        for parent in missing:
            (folder / parent).mkdir()
        for path, text in files.items():
            _create(folder / path, text)
        done = True
    except OSError as error:
        raise UserError(f'{error.filename or folder} cannot be written: {error.strerror}. Nothing was left.') from error
    except RunError as error:
        raise UserError(str(error)) from error
    finally:
        if not done:
            _remove(folder, record)
    return True


def take_out(folder: Path) -> list[str]:
    """Remove what :func:`put` wrote.

    Returns:
        The files that were removed.

    Raises:
        UserError: nothing was put there, or a file is not as it was written; then nothing is removed.
    """
    if not (folder / RECORD).exists():
        raise UserError(f'{printable(folder)}: nothing to undo, there is no {RECORD}')
    record = _read(folder)
    states = {path: _state(folder, path, checksum) for path, checksum in record['files'].items()}
    changed = [path for path, state in states.items() if state == 'changed']
    if changed:
        raise UserError(
            f'{printable(folder)}: {", ".join(changed)} changed since it was written. Nothing was removed. Move it '
            'away or delete it, and undo again.'
        )
    try:
        _remove(folder, record)
    except OSError as error:
        raise UserError(f'{error.filename} cannot be removed: {error.strerror}') from error
    return [path for path, state in states.items() if state == 'ours']


def _create(path: Path, text: str) -> None:
    """Whole or not there: half of a record, or of a file, could not be undone. Never in the place of another's."""
    write_whole(path, lambda file: file.write(text.encode()), overwrite=False)


def _remove(folder: Path, record: Mapping) -> None:
    """Files that are as recorded, the folders made for them if they are empty, and last the record.

    And what a command that was killed while it wrote one of them has left.
    """
    for path in map(folder.joinpath, (*record['files'], RECORD)):
        for part in path.parent.glob(f'.{"[0-9a-f]" * 16}.{escape(path.name)}{PART}'):
            part.unlink()
    for path, checksum in record['files'].items():
        if _state(folder, path, checksum) == 'ours':
            (folder / path).unlink()
            for compiled in (folder / path).parent.glob(f'__pycache__/{Path(path).stem}.*.pyc'):
                compiled.unlink()
    for parent in sorted(record['folders'], reverse=True):
        if (folder / parent).is_dir() and not any((folder / parent).iterdir()):
            (folder / parent).rmdir()
    (folder / RECORD).unlink(missing_ok=True)


def _state(folder: Path, path: str, checksum: str) -> str:
    """'ours', 'changed' or 'missing'."""
    if not os.path.lexists(folder / path):
        return 'missing'
    if (folder / path).is_symlink() or not (folder / path).is_file():
        return 'changed'
    return 'ours' if _checksum((folder / path).read_bytes()) == checksum else 'changed'


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(folder: Path) -> dict:
    """The record.

    Raises:
        UserError: it is none, or names a file outside of the folder.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding='utf-8'))
        paths = [*record['files'], *record['folders']]
        inside = all(not Path(path).is_absolute() and '..' not in Path(path).parts for path in paths)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f'{folder / RECORD} is damaged ({error}): remove what it names by hand, and then it') from error
    if not inside:
        raise UserError(f'{folder / RECORD} names files outside of {printable(folder)}: nothing was removed')
    return record

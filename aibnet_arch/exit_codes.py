"""How a command ends: its errors become a line on standard error and an exit code."""

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

from .errors import RunError, UserError
from .messages import LAYOUT, printable
from .streams import outlived

# No fault of the code: disks that are full, read-only, broken or not ours.
_FULL, _NOT_OURS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG), (errno.EROFS, errno.EACCES, errno.EPERM)
_OF_THE_MACHINE = (*_FULL, *_NOT_OURS, errno.EIO, errno.ESTALE, errno.ENAMETOOLONG)
EXIT_FILE = 'AIBNET_EXIT_FILE'
INTERRUPTED = 130  # 128 and the number of the signal, as of a shell


def exit_code_of(name: str, command: Callable[[], int]) -> int:
    """Run a command; errors that are no fault of the code are told under its name.

    Returns:
        Its exit code; that of the error (see errors.py); 130 after Ctrl-C.
    """
    with outlived():
        try:
            return command()
        except UserError as error:
            print(f'{name}: {printable(error, keep=LAYOUT)}', file=sys.stderr)
            return error.exit_code
        except KeyboardInterrupt:
            print(f'{name}: stopped by Ctrl-C', file=sys.stderr)
            return INTERRUPTED
        except OSError as error:
            if error.errno not in _OF_THE_MACHINE:
                raise
            print(f'{name}: {printable(error)}', file=sys.stderr)
            return RunError.exit_code


def noted(name: str, command: Callable[[], int]) -> int:
    """As :func:`exit_code_of`, and the code in the file that the environment variable AIBNET_EXIT_FILE names.

    torchrun returns 1 whatever its processes return. The first of them writes the file when it ends, and removes that
    of a former run when it begins: there is none after a kill.
    """
    path = os.environ.get(EXIT_FILE)
    if not path or os.environ.get('RANK', '0') != '0':
        return exit_code_of(name, command)
    code = exit_code_of(name, lambda: _removed(Path(path)))
    if code:
        return code
    code = RunError.exit_code  # of what ends with a traceback
    try:
        code = exit_code_of(name, command)
    except SystemExit as error:  # argparse's
        code = error.code if isinstance(error.code, int) else RunError.exit_code
        raise
    finally:
        unwritten = exit_code_of(name, lambda: _written(Path(path), code))
    return code or unwritten


def _removed(path: Path) -> int:
    if not path.parent.is_dir():
        raise UserError(f'{EXIT_FILE}: there is no folder {path.parent}')
    path.unlink(missing_ok=True)
    return 0


def _written(path: Path, code: int) -> int:
    path.write_text(f'{code}\n')
    return 0

"""How a command ends: its errors become a line on standard error and an exit code."""

import errno
import sys
from collections.abc import Callable

from .errors import RunError, UserError
from .messages import LAYOUT, printable

# No fault of the code: disks that are full, read-only, broken or not ours.
_OF_THE_MACHINE = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.ESTALE,
    errno.ENAMETOOLONG,
)
INTERRUPTED = 130  # 128 and the number of the signal, as of a shell


def exit_code_of(name: str, command: Callable[[], int]) -> int:
    """Run a command; errors that are no fault of the code are told under its name.

    Returns:
        Its exit code; that of the error (see errors.py); 130 after Ctrl-C.
    """
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
        print(f'{name}: {error}', file=sys.stderr)
        return RunError.exit_code

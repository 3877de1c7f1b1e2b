"""One test at a time writes into a folder of results."""

import sys
from pathlib import Path
from typing import Optional

from ..distributed import from_all_processes
from ..errors import UserError
from ..locks import RunLock


class ResultsLock:
    """The lock of a test's folder; the first process of several holds it for all."""

    def __init__(self) -> None:
        self._lock: Optional[RunLock] = None

    def take(self, folder: Path, *, is_first: bool = True) -> None:
        """All processes call it, before anything is made in the folder, or renamed.

        Raises:
            UserError: another test writes there; in all processes.
        """
        refused = from_all_processes(self._take(folder) if is_first else None)[0]
        if refused:
            raise UserError(refused)

    def release(self) -> None:
        """Let others into the folder; nothing if it is not held."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _take(self, folder: Path) -> Optional[str]:
        self._lock = RunLock(folder)
        try:
            unlocked = self._lock.take()
        except UserError as error:
            self._lock = None
            return str(error)
        if unlocked:
            print(f'Nothing keeps a second test out of this folder ({unlocked}).', file=sys.stderr)
        return None

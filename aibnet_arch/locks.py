"""One run at a time writes into an experiment's folder."""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import Optional

from .errors import UserError


class RunLock:
    """A lock that its process holds, and that is gone with the process, however that ends.

    It lies beside the folder, since a new run renames the folder of the former one. Data workers do not inherit it.

    Args:
        folder: the experiment's; its parent is made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder.parent / f'.{folder.name}.lock'
        self._descriptor: Optional[int] = None
        self._made_parent = False

    def take(self) -> Optional[str]:
        """Take it.

        Returns:
            Why the file system knows no locks, if so; then nothing is locked.

        Raises:
            UserError: another process has it.
        """
        self._made_parent = not self._path.parent.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                owner = os.read(descriptor, 200).decode(errors='replace')
                os.close(descriptor)
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise UserError(
                        f'another run is writing into {self._folder} ({owner or "unknown"}): wait until it ends or '
                        'stop it, or give this one another name'
                    ) from error
                return f'{self._path}: {error.strerror}'
            self._descriptor = descriptor
            if self._is_the_file():
                break
            self._let_go()  # it was the file of a run that has just ended
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f'process {os.getpid()} on {socket.gethostname()}'.encode())
        return None

    def release(self) -> None:
        """Give it back, and leave nothing behind; nothing if it is not held."""
        if self._descriptor is None:
            return
        if self._is_the_file():
            self._path.unlink()
        self._let_go()
        if self._made_parent and self._path.parent.is_dir() and not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()

    def _is_the_file(self) -> bool:
        """Whether what is locked is what others would find."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _let_go(self) -> None:
        os.close(self._descriptor)
        self._descriptor = None

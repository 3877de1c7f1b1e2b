"""Locks that the system lifts when their process ends, however it ends."""

import errno
import os
import socket
import stat
import weakref
from pathlib import Path
from typing import Optional

from .errors import UserError
from .messages import printable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)
_BEHIND_THE_TEXT = 1 << 30  # Windows lets nobody read what is locked: the lock is of a byte far behind


class Lock:
    """A file that one process holds at a time, and that says which. It is gone when it is released.

    Children do not inherit it, forked ones neither: a killed process holds nothing, whatever it leaves running.

    Args:
        path: of the file, in a folder that exists.
        told: the message while another process has it, ``{owner}`` in it.
    """

    def __init__(self, path: Path, *, told: Optional[str] = None) -> None:
        self._path = path
        self._told = told or f'{printable(path)} is held by another process ({{owner}}): wait for it, or end it'
        self._descriptor: Optional[int] = None
        _ALL.add(self)

    def take(self) -> Optional[str]:
        """Take it.

        Returns:
            Why the file system knows no locks, if so; then nothing is locked.

        Raises:
            UserError: another process has it, or it is no file.
        """
        while self._descriptor is None:
            descriptor = self._open()
            try:
                _lock(descriptor)
            except OSError as error:
                owner = os.read(descriptor, 200).decode(errors='replace')
                os.close(descriptor)
                if error.errno in _BUSY:
                    raise UserError(self._told.replace('{owner}', printable(owner) or 'unknown')) from error
                return f'{self._path}: {error.strerror}'
            self._descriptor = descriptor
            if not self._is_the_file():
                self._let_go()  # it was the file of a process that has just ended
        os.ftruncate(self._descriptor, 0)
        os.write(self._descriptor, f'process {os.getpid()} on {socket.gethostname()}'.encode())
        return None

    def release(self) -> None:
        """Give it back, and leave nothing behind; nothing if it is not held."""
        if self._descriptor is None:
            return
        if fcntl is not None and self._is_the_file():  # Windows removes no file that is open
            self._path.unlink()
        self._let_go()

    def __enter__(self) -> 'Lock':
        unlocked = self.take()
        if unlocked:
            raise UserError(f'nothing can be locked there ({unlocked}): choose a folder on another disk')
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _open(self) -> int:
        # Neither a link is followed, nor is the other end of a pipe waited for.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, 'O_NOFOLLOW', 0) | getattr(os, 'O_NONBLOCK', 0)
        try:
            descriptor = os.open(self._path, flags, 0o666)
        except OSError as error:
            if not os.path.lexists(self._path) or (self._path.is_file() and not self._path.is_symlink()):
                raise  # the disk's fault, or a folder that may not be written
            raise self._no_file() from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise self._no_file()
        return descriptor

    def _no_file(self) -> UserError:
        return UserError(f'{printable(self._path)} is to be a lock, but a folder, link or pipe lies there: remove it')

    def _is_the_file(self) -> bool:
        """Whether what is locked is what others would find."""
        assert self._descriptor is not None
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def _let_go(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class RunLock(Lock):
    """One run at a time writes into an experiment's folder.

    It lies beside the folder, since a new run renames the folder of the former one.

    Args:
        folder: the experiment's; its parent is made if need be.
    """

    def __init__(self, folder: Path) -> None:
        told = (
            f'another run is writing into {printable(folder)} ({{owner}}): wait until it ends or stop it, or give this '
            'one another name'
        )
        super().__init__(folder.parent / f'.{folder.name}.lock', told=told)
        self._made_parent = False

    def take(self) -> Optional[str]:
        """As :meth:`Lock.take`."""
        self._made_parent = not self._path.parent.exists()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return super().take()

    def release(self) -> None:
        """As :meth:`Lock.release`; a parent that was made for it goes if it is empty."""
        super().release()
        if self._made_parent and self._path.parent.is_dir() and not any(self._path.parent.iterdir()):
            self._path.parent.rmdir()


def is_held(path: Path) -> bool:
    """Whether a process holds the lock of that file."""
    if not path.is_file():
        return False
    try:
        with Lock(path):
            return False
    except UserError:
        return True


def _lock(descriptor: int) -> None:
    """Lock a file, or raise OSError at once."""
    if fcntl is not None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    import msvcrt

    os.lseek(descriptor, _BEHIND_THE_TEXT, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # of Windows
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)


def _forget_in_child() -> None:
    """A lock is its file's: it would live as long as the last process that has the file open."""
    for lock in _ALL:
        lock._let_go()


_ALL: 'weakref.WeakSet[Lock]' = weakref.WeakSet()
if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_in_child)

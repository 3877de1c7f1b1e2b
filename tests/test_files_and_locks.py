"""Files that are whole or not there, of which one process makes each, and locks."""

import errno
import os
import signal
import sys
import types
from multiprocessing import get_context

import pytest
import torch

from aibnet_arch import files, locks
from aibnet_arch.commands.main import main
from aibnet_arch.errors import ExistsError, RunError, UserError
from aibnet_arch.files import whole_file, write_text, write_whole
from aibnet_arch.locks import Lock, RunLock, is_held
from aibnet_arch.messages import printable, some

FORK = get_context('fork')


def at_once(function, count):
    """What `function(number)` gives in so many processes that start together."""
    barrier, answers = FORK.Barrier(count), FORK.SimpleQueue()

    def run(number):
        barrier.wait()
        try:
            answers.put(function(number))
        except BaseException as error:
            answers.put(error)  # told in the parent, which would wait for it

    processes = [FORK.Process(target=run, args=(number,)) for number in range(count)]
    for process in processes:
        process.start()
    found = [answers.get() for _ in processes]
    for process in processes:
        process.join()
    return found


def refuse_links(*arguments, **keywords):
    raise OSError(errno.EPERM, 'Operation not permitted')


@pytest.mark.parametrize('links', [True, False], ids=['hard links', 'no hard links'])
def test_of_several_processes_one_makes_a_file(links, tmp_path, monkeypatch):
    if not links:
        monkeypatch.setattr(os, 'link', refuse_links)

    def make(number):
        try:
            write_whole(path, lambda file: file.write(bytes([number]) * 100_000), overwrite=False)
        except ExistsError:
            return None
        return number

    for turn in range(20):
        path = tmp_path / str(turn)
        (winner,) = [number for number in at_once(make, 3) if number is not None]
        assert path.read_bytes() == bytes([winner]) * 100_000
    assert len(list(tmp_path.iterdir())) == 20


def test_of_two_conversions_to_one_name_one_succeeds(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(2):
        torch.save({'params': {'a': torch.full((1000,), float(number))}}, f'{number}.pth')
    codes = at_once(lambda number: main(['convert', f'{number}.pth', 'out.safetensors']), 2)
    assert sorted(codes) == [0, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ['0.pth', '1.pth', 'out.safetensors']


def test_a_temporary_file_follows_no_link(tmp_path, monkeypatch):
    monkeypatch.setattr(files.secrets, 'token_hex', lambda count: 'known')
    (tmp_path / 'mine').write_text('mine')
    (tmp_path / '.known.report.part').symlink_to('mine')
    with pytest.raises(RunError, match='cannot be written'):
        write_text(tmp_path / 'report', 'theirs')
    assert (tmp_path / 'mine').read_text() == 'mine'
    assert not (tmp_path / 'report').exists()


def test_what_was_there_stays_if_a_write_fails(tmp_path):
    write_text(tmp_path / 'x', 'before')

    def fail(file):
        file.write(b'half')
        raise OSError(errno.ENOSPC, 'No space left on device')

    with pytest.raises(RunError, match=r'x cannot be written: \[Errno 28\] No space left on device'):
        write_whole(tmp_path / 'x', fail)
    with pytest.raises(KeyboardInterrupt), whole_file(tmp_path / 'x') as temporary:
        temporary.write_text('half')
        raise KeyboardInterrupt
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [('x', 'before')]


def test_a_lock_is_one_process_s_and_says_whose(tmp_path):
    path = tmp_path / 'lock'
    with Lock(path):
        assert is_held(path)
        with pytest.raises(UserError, match=f'lock is held by another process .process {os.getpid()} on '):
            Lock(path).take()
    assert not is_held(path)
    assert not path.exists()


def test_of_several_processes_one_holds_a_lock(tmp_path):
    """Also where its file is removed by one while another opens it."""

    def count(number):
        taken = 0
        while taken < 30:
            try:
                with Lock(tmp_path / 'lock'):
                    (tmp_path / 'inside').mkdir()  # fails if somebody else is there
                    (tmp_path / 'inside').rmdir()
                    taken += 1
            except UserError:
                continue
        return taken

    assert at_once(count, 3) == [30] * 3


def test_a_killed_process_holds_nothing_whatever_it_leaves_running(tmp_path):
    path = tmp_path / 'lock'
    taken, child = FORK.SimpleQueue(), FORK.SimpleQueue()

    def hold():
        lock = Lock(path)
        lock.take()
        process = os.fork()
        if not process:
            signal.pause()
        child.put(process)
        taken.put(lock.take())
        signal.pause()

    holder = FORK.Process(target=hold)
    holder.start()
    taken.get()
    orphan = child.get()
    try:
        assert is_held(path)
        os.kill(holder.pid, signal.SIGKILL)
        holder.join()
        assert not is_held(path)
    finally:
        os.kill(orphan, signal.SIGKILL)


@pytest.mark.parametrize('kind', ['folder', 'pipe', 'link', 'link to nowhere'])
def test_what_is_no_file_is_no_lock(kind, tmp_path):
    path = tmp_path / '.run.lock'
    (tmp_path / 'mine').write_text('mine')
    make = {
        'folder': path.mkdir,
        'pipe': lambda: os.mkfifo(path),
        'link': lambda: path.symlink_to('mine'),
        'link to nowhere': lambda: path.symlink_to('nowhere'),
    }
    make[kind]()
    with pytest.raises(UserError, match=r'\.run\.lock is to be a lock, but a folder, link or pipe lies there'):
        RunLock(tmp_path / 'run').take()
    assert (tmp_path / 'mine').read_text() == 'mine'
    assert not (tmp_path / 'nowhere').exists()
    assert os.path.lexists(path)


def test_file_systems_without_locks_are_told(tmp_path, monkeypatch):
    def unknown(descriptor, operation):
        raise OSError(errno.ENOLCK, 'No locks available')

    monkeypatch.setattr(locks.fcntl, 'flock', unknown)
    assert Lock(tmp_path / 'lock').take() == f'{tmp_path / "lock"}: No locks available'
    with pytest.raises(UserError, match='nothing can be locked there'), Lock(tmp_path / 'lock'):
        pass


def test_where_there_is_no_fcntl_a_byte_is_locked(tmp_path, monkeypatch):
    """As on Windows, whose module is stood for by one that locks a byte of a file."""
    held = {}

    def locking(descriptor, mode, count):
        place = os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR)
        if place in held and held[place] != descriptor:
            raise OSError(errno.EACCES, 'Permission denied')
        held[place] = descriptor

    monkeypatch.setattr(locks, 'fcntl', None)
    monkeypatch.setitem(sys.modules, 'msvcrt', types.SimpleNamespace(locking=locking, LK_NBLCK=2))
    with Lock(tmp_path / 'lock'), pytest.raises(UserError, match=f'process {os.getpid()} on '):
        Lock(tmp_path / 'lock').take()
    assert next(iter(held))[1] > 1000, 'not of the text, which others read'
    assert (tmp_path / 'lock').read_text().startswith(f'process {os.getpid()} on '), 'an open file stays there'


def test_what_a_terminal_would_obey_is_escaped(monkeypatch):
    assert printable('ä\x1b[2J\n\x07\u202e') == r'ä\x1b[2J\n\x07\u202e'
    assert printable('a\n\tb\r', keep='\n\t') == 'a\n\tb\\r'
    assert printable(os.fsdecode(b'\xff.png')) == r'\udcff.png'
    assert some(['a\x1b', 'b', 'c'], most=2) == r'a\x1b, b and 1 more'
    monkeypatch.setattr(sys, 'stdout', types.SimpleNamespace(encoding='ascii'))
    assert printable('ä') == r'\xe4'

"""A preparation killed at any moment leaves nothing that looks finished, and the next start completes it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aibnet_arch.errors import UserError
from datasets_prep import Crop, Pair, lmdb_writer, storage, write_pairs
from datasets_prep.storage import Folder, read_manifest
from datasets_prep.verify import verify
from tests.prep_trees import assert_holds, crops_of, picture, save_pair, snapshot

REPOSITORY = Path(__file__).resolve().parents[1]
# AIBNET_PREP_KILLS=10 makes the longer trial.
KILLS = int(os.environ.get('AIBNET_PREP_KILLS', '4'))
# Small batches, so that a kill falls between commits, too; the folders are given as arguments.
COMMAND = """
import sys
from datasets_prep import folder_pair, lmdb_writer
lmdb_writer.BATCH_BYTES = 2**20
if __name__ == '__main__':
    sys.exit(folder_pair.main(sys.argv[1:]))
"""
CONTENT = {f'p{i}': (picture(2 * i), picture(2 * i + 1)) for i in range(5)}
CROP = Crop(32, 16)
ENTRIES = crops_of(CONTENT, size=32, starts=[(row, column) for row in (0, 16) for column in (0, 16, 32)])


class KilledError(BaseException):
    """Stands for the end of the process."""


def finished_or_absent(*paths: Path) -> bool:
    return all(not path.exists() or read_manifest(path)['complete'] for path in paths)


def prepare(*paths: Path) -> int:
    pairs = [Pair(key, *pair) for key, pair in CONTENT.items()]
    return write_pairs(pairs, *paths, crop=CROP, workers=1, progress=False)


@pytest.fixture
def count_steps(monkeypatch):
    """Counts every step that changes the disk, and ends the process before the one numbered `deadline`."""

    class Steps:
        def __init__(self):
            self.taken, self.encoded, self.deadline = 0, 0, None

        def step(self, function):
            def wrapped(*args, **kwargs):
                if self.taken == self.deadline:
                    raise KilledError
                self.taken += 1
                return function(*args, **kwargs)

            return wrapped

        def encode(self, function):
            def wrapped(pair, **how):
                self.encoded += 1
                return function(pair, **how)

            return wrapped

    steps = Steps()
    monkeypatch.setattr(lmdb_writer, '_put', steps.step(lmdb_writer._put))
    monkeypatch.setattr(lmdb_writer, 'encode_pair', steps.encode(lmdb_writer.encode_pair))
    monkeypatch.setattr(lmdb_writer, 'write_text', steps.step(lmdb_writer.write_text))
    monkeypatch.setattr(storage, 'write_text', steps.step(storage.write_text))
    for name in ('mkdir', 'replace', 'rename'):
        monkeypatch.setattr(Path, name, steps.step(getattr(Path, name)))
    monkeypatch.setattr(lmdb_writer, 'BATCH_BYTES', 60_000)  # two pictures' crops
    return steps


def test_ended_before_every_single_step(tmp_path, count_steps):
    prepare(tmp_path / 'reference.lmdb', tmp_path / 'reference_gt.lmdb')
    reference = snapshot(tmp_path / 'reference.lmdb', tmp_path / 'reference_gt.lmdb')
    total, redone = count_steps.taken, []
    assert total > 20
    for deadline in range(total):
        folder = tmp_path / f'ended_{deadline:02d}'
        folder.mkdir()
        paths = folder / 'input.lmdb', folder / 'target.lmdb'
        count_steps.taken, count_steps.encoded, count_steps.deadline = 0, 0, deadline
        with pytest.raises(KilledError):
            prepare(*paths)
        count_steps.deadline = None
        assert finished_or_absent(*paths)
        assert not (paths[0].exists() and paths[1].exists())
        count_steps.encoded = 0
        assert prepare(*paths) == len(ENTRIES)
        redone.append(count_steps.encoded)
        assert snapshot(*paths) == reference
        assert sorted(path.name for path in folder.iterdir()) == ['input.lmdb', 'target.lmdb']
    assert redone == sorted(redone, reverse=True), 'the later it ended, the less was left to do'
    assert set(redone) == {0, 1, 3, 5}
    assert_holds(*paths, ENTRIES)


def test_ended_while_replacing_an_old_set(tmp_path, count_steps):
    pairs = [Pair(key, *pair) for key, pair in CONTENT.items()]
    # The old folders go first, in two steps; from then on everything is as with a new set.
    for deadline in range(6):
        folder = tmp_path / f'ended_{deadline:02d}'
        folder.mkdir()
        paths = folder / 'input.lmdb', folder / 'target.lmdb'
        write_pairs([Pair('old', picture(1), picture(2))], *paths, workers=1, progress=False)
        count_steps.taken, count_steps.deadline = 0, deadline
        with pytest.raises(KilledError):
            write_pairs(pairs, *paths, crop=CROP, workers=1, progress=False, overwrite=True)
        count_steps.deadline = None
        assert [path.exists() for path in paths] == [deadline < 1, deadline < 2]
        assert finished_or_absent(*paths)
        write_pairs(pairs, *paths, crop=CROP, workers=1, progress=False, overwrite=True)
        assert_holds(*paths, ENTRIES)
        assert sorted(path.name for path in folder.iterdir()) == ['input.lmdb', 'target.lmdb']


def test_killed_at_random_moments(tmp_path):
    for i in range(40):
        size = {'height': 192, 'width': 256}
        save_pair(tmp_path / f'lq/{i:02d}.png', tmp_path / f'gt/{i:02d}.png', seed=i, **size)

    def start(output: Path) -> subprocess.Popen:
        command = [sys.executable, '-c', COMMAND, '--lq', str(tmp_path / 'lq'), '--gt', str(tmp_path / 'gt')]
        command += ['--output', str(output), '--crop-size', '128', '--crop-step', '64', '--workers', '2']
        return subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def folders(output: Path) -> tuple[Path, Path]:
        return output / 'input.lmdb', output / 'target.lmdb'

    began = time.monotonic()
    undisturbed = start(tmp_path / 'undisturbed')
    out, err = undisturbed.communicate(timeout=120)
    assert undisturbed.returncode == 0, out + err
    duration = time.monotonic() - began
    reference = snapshot(*folders(tmp_path / 'undisturbed'))
    assert len(reference[0][0]) == 40 * 6

    rng, unfinished, went_on = random.Random(), 0, 0
    for trial in range(KILLS):
        output = tmp_path / f'killed_{trial}'
        process = start(output)
        # One moment in each of as many equal parts of the duration, so that no phase is left to chance.
        time.sleep(duration * (trial + rng.random()) / KILLS)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)  # returns once the workers, too, have closed these pipes
        complete = all(path.exists() for path in folders(output))
        assert finished_or_absent(*folders(output))
        unfinished += not complete

        again = start(output)
        out, err = again.communicate(timeout=120)
        assert again.returncode == 0, out + err
        went_on += 'going on' in out
        assert snapshot(*folders(output)) == reference
        assert sorted(path.name for path in output.iterdir()) == ['input.lmdb', 'target.lmdb']
        assert verify(*folders(output), progress=False) == []
    print(f'{KILLS} kills, {unfinished} before the end, {went_on} went on from what was stored')
    assert unfinished >= 1


def test_a_second_process_on_the_same_set_is_refused(tmp_path):
    (tmp_path / 'input.lmdb.partial').mkdir()
    with Folder(tmp_path / 'input.lmdb').lock(), pytest.raises(UserError, match='Another process is preparing'):
        prepare(tmp_path / 'input.lmdb', tmp_path / 'target.lmdb')
    assert prepare(tmp_path / 'input.lmdb', tmp_path / 'target.lmdb') == len(ENTRIES)


def test_what_a_killed_process_left_half_written_is_gone(tmp_path):
    for name in ('input', 'target'):
        folder = tmp_path / f'{name}.lmdb.partial'
        folder.mkdir()
        (folder / '.0f.prepared.json.part').write_text('{')
    prepare(tmp_path / 'input.lmdb', tmp_path / 'target.lmdb')
    names = ['data.mdb', 'lock.mdb', 'meta_info.txt', 'prepared.json']
    for name in ('input', 'target'):
        assert sorted(path.name for path in (tmp_path / f'{name}.lmdb').iterdir()) == names


def test_one_half_lost_while_unfinished(tmp_path, count_steps):
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    count_steps.deadline = 14
    with pytest.raises(KilledError):
        prepare(*paths)
    count_steps.deadline = None
    (tmp_path / 'input.lmdb.partial').rename(tmp_path / 'lost')
    prepare(*paths)
    assert_holds(*paths, ENTRIES)

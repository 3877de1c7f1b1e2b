from __future__ import annotations

import lmdb
import pytest

from datasets_prep import Pair, inspection, write_pairs
from datasets_prep.cli import run
from datasets_prep.images import encode
from datasets_prep.verify import main
from tests.prep_trees import picture


@pytest.fixture
def folders(tmp_path):
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    pairs = [Pair(f'p{i}', picture(2 * i), picture(2 * i + 1)) for i in range(4)]
    write_pairs(pairs, *paths, workers=1, progress=False)
    return paths


def check(folders, capsys, *flags) -> tuple[int, str]:
    code = run(main, [*map(str, folders), '--workers', '1', *flags])
    return code, capsys.readouterr().out


def change(folder, key: bytes, value: bytes | None) -> None:
    with lmdb.open(str(folder)) as env, env.begin(write=True) as transaction:
        assert transaction.delete(key) if value is None else transaction.put(key, value)


@pytest.mark.parametrize('flags', [[], ['--shallow'], ['--workers', '2']])
def test_a_good_pair(folders, capsys, flags, monkeypatch):
    monkeypatch.setattr(inspection, 'ENTRIES_PER_TASK', 1)
    monkeypatch.setattr(inspection, 'TASKS_WORTH_A_PROCESS', 1)
    code, out = check(folders, capsys, *flags)
    assert code == 0
    assert 'all is well' in out
    assert out.count('4 entries, checksum') == 2


@pytest.mark.parametrize('flags', [[], ['--shallow']])
def test_a_flipped_byte_on_the_disk(folders, capsys, flags):
    path = folders[1] / 'data.mdb'
    data = bytearray(path.read_bytes())
    position = data.find(encode(picture(5))) + 300
    data[position] ^= 1
    path.write_bytes(data)
    code, out = check(folders, capsys, *flags)
    assert code == 1
    assert "sharp, key 'p2': a damaged PNG" in out
    assert f'{folders[1]}: checksum is' in out
    assert '2 problem(s)' in out


def test_a_missing_key(folders, capsys):
    change(folders[0], b'p1', None)
    code, out = check(folders, capsys)
    assert code == 1
    assert '1 key(s) missing on the blurred side: p1' in out
    assert f'1 key(s) are in {folders[0] / "meta_info.txt"}, but not stored: p1' in out
    assert 'entries is 3, but prepared.json says 4' in out


def test_another_picture_and_another_size(folders, capsys):
    change(folders[0], b'p1', encode(picture(77)))
    code, out = check(folders, capsys)
    assert code == 1
    assert out.count('wrong: ') == 1
    assert 'checksum is' in out
    change(folders[0], b'p1', encode(picture(77, width=65)))
    code, out = check(folders, capsys)
    assert "key 'p1': the blurred picture is (48, 65, 3), the sharp one (48, 64, 3)" in out
    assert "'p1.png (48,64,3) 1' should begin with 'p1.png (48,65,3)'" in out


def test_the_list_differs(folders, capsys):
    path = folders[1] / 'meta_info.txt'
    lines = path.read_text().splitlines()
    path.write_text('\n'.join([*lines[1:], lines[2], 'extra.png (48,64,3) 1']) + '\n')
    code, out = check(folders, capsys)
    assert code == 1
    assert 'lists 1 key(s) twice' in out
    assert f'1 key(s) are stored, but not in {path}: p0' in out
    assert f'1 key(s) are in {path}, but not stored: extra' in out
    path.unlink()
    assert f'{path} is missing' in check(folders, capsys)[1]


def test_without_a_manifest(folders, capsys):
    (folders[0] / 'prepared.json').unlink()
    code, out = check(folders, capsys)
    assert code == 0
    assert 'no prepared.json' in out


def test_nothing_to_check(tmp_path, capsys):
    assert check((tmp_path / 'a.lmdb', tmp_path / 'b.lmdb'), capsys)[0] == 2
    for name in ('a.lmdb', 'b.lmdb'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'data.mdb').write_bytes(b'x' * 10_000)
    assert check((tmp_path / 'a.lmdb', tmp_path / 'b.lmdb'), capsys)[0] == 2

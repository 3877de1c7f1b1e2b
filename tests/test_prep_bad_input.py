"""Each kind of bad input has its outcome: exit code 2, a message that names what is wrong, nothing half made."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from types import SimpleNamespace

import lmdb
import numpy as np
import pytest

from datasets_prep import Crop, Pair, PrepError, folder_pair, gopro, hide, lmdb_writer, realblur, write_pairs
from datasets_prep.cli import run
from datasets_prep.paired_set import PairedSet
from tests.prep_trees import assert_holds, gopro_tree, hide_tree, picture, realblur_tree, save, save_pair, snapshot


def fails(main, args, capsys) -> str:
    """Runs a command line that must end with exit code 2 and a message without traceback; returns the message."""
    assert run(main, [*map(str, args), '--workers', '1']) == 2
    message = capsys.readouterr().err
    assert message.startswith('error: ')
    assert 'Traceback' not in message
    return message


def array_pairs(count: int, *, start: int = 0) -> list[Pair]:
    return [Pair(f'p{i:02d}', picture(2 * i), picture(2 * i + 1)) for i in range(start, start + count)]


@pytest.mark.parametrize(
    ('module', 'extra', 'url'),
    [
        (gopro, [], 'https://seungjunnah.github.io/Datasets/gopro'),
        (hide, [], 'https://github.com/joanshen0508/HA_deblur'),
        (realblur, ['--subset', 'J'], 'https://cg.postech.ac.kr/research/realblur/'),
    ],
)
def test_missing_folder_and_wrong_tree(tmp_path, module, extra, url, capsys):
    message = fails(module.main, ['--input', tmp_path / 'nowhere', '--output', tmp_path / 'out', *extra], capsys)
    assert f'{tmp_path / "nowhere"} does not exist' in message
    assert url in message
    save(tmp_path / 'wrong/pictures/a.png', picture(1))
    message = fails(module.main, ['--input', tmp_path / 'wrong', '--output', tmp_path / 'out', *extra], capsys)
    assert str(tmp_path / 'wrong') in message
    assert 'pictures is there' in message
    assert 'Expected' in message
    assert url in message
    assert not (tmp_path / 'out').exists()


def test_all_problems_are_reported_at_once(tmp_path, capsys):
    gopro_tree(tmp_path / 'archive', train=14)
    scene = tmp_path / 'archive/train/GOPR0372_07_00'
    for number in range(47, 60):
        (scene / f'sharp/{number:06d}.png').unlink()
    (tmp_path / 'archive/test/GOPR0373_07_01/blur/000048.png').unlink()
    message = fails(gopro.main, ['--input', tmp_path / 'archive', '--output', tmp_path / 'out'], capsys)
    assert '13 file(s) without the sharp partner: ' in message
    assert str(scene / 'blur/000047.png') in message
    assert 'and 3 more' in message
    assert '1 file(s) without the blurred partner: ' in message
    assert 'train: 15 pairs instead of 2103' in message
    assert 'test: 7 pairs instead of 1111' in message
    assert '--partial' in message
    assert not (tmp_path / 'out').exists()


def test_missing_parts_and_folders(tmp_path, capsys):
    gopro_tree(tmp_path / 'archive')
    (tmp_path / 'archive/test').rename(tmp_path / 'elsewhere')
    (tmp_path / 'archive/train/GOPR0372_07_00/blur').rename(tmp_path / 'moved')
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out', '--partial']
    message = fails(gopro.main, args, capsys)
    assert f'{tmp_path / "archive/test"} is missing (--parts can leave it out)' in message
    assert f'{tmp_path / "archive/train/GOPR0372_07_00/blur"} is missing' in message


def test_partial_hide_needs_the_flag(tmp_path, capsys):
    hide_tree(tmp_path / 'archive')
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out']
    assert '6 pairs instead of 2025' in fails(hide.main, args, capsys)
    assert run(hide.main, [*map(str, args), '--partial', '--workers', '1']) == 0


def test_names_that_collapse_into_one_key(tmp_path, capsys):
    hide_tree(tmp_path / 'archive')
    for folder in ('test/test-close-ups', 'GT'):
        save(tmp_path / 'archive' / folder / '0fromGOPR1096_MP4.png', picture(5))
    save(tmp_path / 'archive/test/test-long-shot/1fromGOPR1096.MP4.png', picture(6))
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out', '--partial']
    message = fails(hide.main, args, capsys)
    one, other = (tmp_path / f'archive/GT/0fromGOPR1096{sign}MP4.png' for sign in ('.', '_'))
    assert f"{one} and {other} would get the same key '0fromGOPR1096_MP4'" in message
    assert "would get the same key '1fromGOPR1096_MP4'" in message


def test_realblur_lists(tmp_path, capsys):
    realblur_tree(tmp_path / 'archive')
    listed = tmp_path / 'archive/RealBlur_J_train_list.txt'
    listed.write_text(listed.read_text() + '\nscene001/gt/gt_1.png scene001/blur/blur_2.png \nonly_one.png\n')
    missing = tmp_path / 'archive/RealBlur-J_ECC_IMCORR_centroid_itensity_ref/scene002/blur/blur_2.png'
    missing.unlink()
    (tmp_path / 'archive/RealBlur_J_test_list.txt').unlink()
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out', '--subset', 'J', '--partial']
    message = fails(realblur.main, args, capsys)
    assert f'{listed}, line 5' in message
    assert f'{listed}, line 6' in message
    assert f'1 file(s) that {listed} names are missing: {missing}' in message
    assert 'RealBlur_J_test_list.txt is missing' in message
    message = fails(realblur.main, [*args[:4], '--subset', 'R'], capsys)
    assert 'RealBlur_{J,R}_{train,test}_list.txt' in message


def test_bad_pictures_are_all_named_and_can_be_repaired(tmp_path, capsys):
    lq, gt, out = tmp_path / 'lq', tmp_path / 'gt', tmp_path / 'out'
    content = {f'p{i}': save_pair(lq / f'p{i}.png', gt / f'p{i}.png', seed=i) for i in range(6)}
    whole = (lq / 'p1.png').read_bytes()
    (lq / 'p1.png').write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    (gt / 'p2.png').write_bytes(b'')
    save(gt / 'p3.png', picture(9, width=63))
    args = ['--lq', lq, '--gt', gt, '--output', out]
    message = fails(folder_pair.main, args, capsys)
    assert f'{lq / "p1.png"}: a damaged PNG' in message
    assert f'{gt / "p2.png"}: an empty file' in message
    assert f'{lq / "p3.png"} and {gt / "p3.png"}: the blurred picture is 48x64 but the sharp one 48x63' in message
    assert '3 problem(s)' in message
    assert not list(out.glob('*.lmdb'))

    (lq / 'p1.png').write_bytes(whole)
    save(gt / 'p2.png', content['p2'][1])
    save(gt / 'p3.png', content['p3'][1])
    assert run(folder_pair.main, [*map(str, args), '--workers', '1']) == 0
    assert 'going on, 3 of 6 pairs' in capsys.readouterr().out
    assert_holds(out / 'input.lmdb', out / 'target.lmdb', content)


def test_too_small_for_the_crop(tmp_path, capsys):
    save_pair(tmp_path / 'lq/a.png', tmp_path / 'gt/a.png', seed=1)
    save_pair(tmp_path / 'lq/b.png', tmp_path / 'gt/b.png', seed=2, height=31)
    args = ['--lq', tmp_path / 'lq', '--gt', tmp_path / 'gt', '--output', tmp_path / 'out', '--crop-size', '32']
    message = fails(folder_pair.main, args, capsys)
    assert f'{tmp_path / "lq/b.png"}' in message
    assert '31x64 is smaller than the crop size 32' in message
    assert '--crop-size 31 fits all' in message
    assert 'Repair these files' not in message


def test_another_crop_size_where_nothing_was_built(tmp_path, capsys):
    for name, height in (('a', 30), ('b', 28)):
        save_pair(tmp_path / f'lq/{name}.png', tmp_path / f'gt/{name}.png', seed=1, height=height)
    args = ['--lq', tmp_path / 'lq', '--gt', tmp_path / 'gt', '--output', tmp_path / 'out', '--crop-size']
    assert '--crop-size 28 fits all' in fails(folder_pair.main, [*args, 32], capsys)
    assert '--crop-size 28 fits all' in fails(folder_pair.main, [*args, 40], capsys)
    assert run(folder_pair.main, [*map(str, args), '28', '--workers', '1']) == 0
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['input.lmdb', 'target.lmdb']
    assert 'was prepared with other options' in fails(folder_pair.main, [*args, 16], capsys)


def test_folder_pair_folders(tmp_path, capsys):
    save_pair(tmp_path / 'lq/sub/a.png', tmp_path / 'gt/sub/a.png', seed=1)
    args = ['--lq', tmp_path / 'lq', '--gt', tmp_path / 'nowhere', '--output', tmp_path / 'out']
    message = fails(folder_pair.main, args, capsys)
    assert 'no pictures' in message
    assert '--recursive' in message
    assert 'nowhere does not exist' in message
    save(tmp_path / 'lq/sub_a.png', picture(1))
    message = fails(folder_pair.main, [*args[:3], tmp_path / 'gt', *args[4:], '--recursive'], capsys)
    assert f"{tmp_path / 'lq/sub/a.png'} and {tmp_path / 'lq/sub_a.png'} would get the same key 'sub_a'" in message
    with pytest.raises(SystemExit) as ended:
        run(folder_pair.main, [*map(str, args), '--crop-size', '0'])
    assert ended.value.code == 2


def test_a_finished_set_is_recognised(tmp_path, capsys):
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    write_pairs(array_pairs(3), *paths, workers=1)
    before = [path.stat().st_mtime_ns for path in (paths[0] / 'data.mdb', paths[1] / 'prepared.json')]
    capsys.readouterr()
    assert write_pairs(array_pairs(3), *paths, workers=1) == 3
    assert 'already prepared' in capsys.readouterr().out
    assert before == [path.stat().st_mtime_ns for path in (paths[0] / 'data.mdb', paths[1] / 'prepared.json')]


@pytest.mark.parametrize(
    ('change', 'named'),
    [
        ({'pairs': array_pairs(4)}, 'pictures 3, now 4'),
        ({'pairs': array_pairs(3, start=1)}, 'pictures_digest'),
        ({'pairs': [Pair(p.key, p.gt, p.lq) for p in array_pairs(3)]}, 'pictures_digest'),
        ({'crop': Crop(16)}, "crop None, now {'size': 16, 'step': None}"),
        ({'source': 'GoPro test, blur_gamma'}, 'source own pictures, now GoPro test, blur_gamma'),
    ],
)
def test_a_set_with_other_options_is_an_error(tmp_path, change, named):
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    write_pairs(array_pairs(3), *paths, workers=1, progress=False)
    before = snapshot(*paths)
    options = {'pairs': array_pairs(3), **change}
    pairs = options.pop('pairs')
    with pytest.raises(PrepError, match='was prepared with other options') as raised:
        write_pairs(pairs, *paths, workers=1, progress=False, **options)
    assert named in str(raised.value)
    assert '--overwrite' in str(raised.value)
    assert snapshot(*paths) == before
    entries = write_pairs(pairs, *paths, workers=1, progress=False, overwrite=True, **options)
    assert write_pairs(pairs, *paths, workers=1, progress=False, **options) == entries
    assert sorted(path.name for path in tmp_path.iterdir()) == ['input.lmdb', 'target.lmdb']


def test_gopro_variants_are_never_mixed_up(tmp_path, capsys):
    gopro_tree(tmp_path / 'archive')
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out', '--partial', '--parts', 'test']
    assert run(gopro.main, [*map(str, args), '--workers', '1']) == 0
    message = fails(gopro.main, [*args, '--variant', 'blur_gamma'], capsys)
    assert 'source GoPro test, blur, now GoPro test, blur_gamma' in message


def test_overwrite_leaves_the_sets_that_need_no_change(tmp_path, capsys):
    gopro_tree(tmp_path / 'archive')
    args = ['--input', str(tmp_path / 'archive'), '--output', str(tmp_path / 'out'), '--partial', '--workers', '1']
    args += ['--parts', 'test', 'val', '--val-crop', '16']
    assert run(gopro.main, args) == 0
    capsys.readouterr()
    assert run(gopro.main, [*args, '--val-count', '2', '--overwrite']) == 0
    out = capsys.readouterr().out
    assert '2 entries, done' in out
    assert '8 entries, already prepared' in out


def test_an_unfinished_set_with_other_options_is_an_error(tmp_path):
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    bad = [*array_pairs(2), Pair('bad', picture(1), picture(1, width=9))]
    with pytest.raises(PrepError, match='but the sharp one 48x9'):
        write_pairs(bad, *paths, workers=1, progress=False)
    with pytest.raises(PrepError, match='was begun with other options'):
        write_pairs(array_pairs(3), *paths, workers=1, progress=False)
    write_pairs(array_pairs(3), *paths, workers=1, progress=False, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['input.lmdb', 'target.lmdb']


def test_nothing_is_replaced_unless_asked(tmp_path):
    folders = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    sets = [PairedSet(array_pairs(count), *folders, None, 'mine') for count in (2, 3)]
    assert lmdb_writer.prepare(sets[:1], workers=1, progress=False) == [2]
    with pytest.raises(PrepError, match='replace the old set with --overwrite'):
        lmdb_writer.prepare(sets[1:], workers=1, progress=False)
    assert lmdb_writer.prepare(sets[1:], workers=1, progress=False, overwrite=True) == [3]


def test_replaced_source_files_and_damaged_results_are_noticed(tmp_path, capsys):
    lq, gt, out = tmp_path / 'lq', tmp_path / 'gt', tmp_path / 'out'
    for i in range(3):
        save_pair(lq / f'{i}.png', gt / f'{i}.png', seed=i)
    args = ['--lq', lq, '--gt', gt, '--output', out]
    assert run(folder_pair.main, [*map(str, args), '--workers', '1']) == 0
    save(lq / '1.png', np.zeros((48, 64, 3), np.uint8))
    assert 'source files have changed' in fails(folder_pair.main, args, capsys)
    assert run(folder_pair.main, [*map(str, args), '--workers', '1', '--overwrite']) == 0
    (out / 'input.lmdb/data.mdb').write_bytes(b'')
    assert 'data.mdb is missing or was changed' in fails(folder_pair.main, args, capsys)
    for path in (out / 'target.lmdb').iterdir():
        path.unlink()
    (out / 'target.lmdb').rmdir()
    assert 'is finished, but its partner is not' in fails(folder_pair.main, args, capsys)
    assert run(folder_pair.main, [*map(str, args), '--workers', '1', '--overwrite']) == 0


@pytest.mark.parametrize('name', ['target.lmdb', 'target.lmdb.partial'])
@pytest.mark.parametrize('overwrite', [False, True])
def test_what_others_made_is_never_touched(tmp_path, name, overwrite):
    (tmp_path / name).mkdir()
    (tmp_path / name / 'data.mdb').write_bytes(b'precious')
    with pytest.raises(PrepError, match=re.escape(f'{name} exists and was not made by this program')):
        write_pairs(array_pairs(2), tmp_path / 'input.lmdb', tmp_path / 'target.lmdb', workers=1, overwrite=overwrite)
    assert (tmp_path / name / 'data.mdb').read_bytes() == b'precious'
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_bad_pairs(tmp_path):
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    a = picture(1)
    bad = [Pair('a.b', a, a), Pair('a/b', a, a), Pair('ü', a, a), Pair('', a, a), Pair('x' * 600, a, a)]
    with pytest.raises(PrepError, match=r'6 problem\(s\)') as raised:
        write_pairs([*bad, Pair('c', a, a), Pair('c', a, a)], *paths, workers=1)
    assert "key 'c' occurs twice" in str(raised.value)
    with pytest.raises(PrepError, match='must be a Path or a numpy array, not str'):
        write_pairs([Pair('a', 'a.png', a)], *paths, workers=1)
    with pytest.raises(PrepError, match='no pairs'):
        write_pairs([], *paths, workers=1)
    with pytest.raises(PrepError, match=r'must end in \.lmdb'):
        write_pairs(array_pairs(1), tmp_path / 'input', paths[1], workers=1)
    with pytest.raises(PrepError, match='given for both sides'):
        write_pairs(array_pairs(1), paths[0], paths[0], workers=1)
    with pytest.raises(PrepError, match='at least 1'):
        write_pairs(array_pairs(1), *paths, workers=0)
    with pytest.raises(PrepError, match="blurred picture of key 'p00': an array must be uint8"):
        write_pairs([Pair('p00', a.astype(float), a)], *paths, workers=1, progress=False)


def test_dark_pictures_first(tmp_path, monkeypatch):
    # A map sized by the first picture, as BasicSR's is, would be far too small here.
    monkeypatch.setattr(lmdb_writer, 'INITIAL_MAP_SIZE', 2**16)
    monkeypatch.setattr(lmdb_writer, 'BATCH_BYTES', 2**18)
    black = np.zeros((256, 256, 3), np.uint8)
    content = {f'p{i:02d}': (black, black) for i in range(3)}
    content.update({f'p{i:02d}': (picture(i, height=256, width=256), black) for i in range(3, 12)})
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    write_pairs([Pair(key, *pair) for key, pair in content.items()], *paths, workers=1, progress=False)
    assert_holds(*paths, content)
    assert json.loads((paths[0] / 'prepared.json').read_text())['data_bytes'] > 2**16


def test_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer, 'DISK_RESERVE', 2**60)
    paths = tmp_path / 'input.lmdb', tmp_path / 'target.lmdb'
    with pytest.raises(PrepError, match='the disk is full'):
        write_pairs(array_pairs(2), *paths, workers=1, progress=False)
    monkeypatch.undo()
    assert write_pairs(array_pairs(2), *paths, workers=1, progress=False) == 2


@pytest.mark.parametrize(('free', 'is_full'), [(2**26 + 29, True), (2**26 + 30, False)])
def test_64_mib_of_the_disk_stay_free(free, is_full, tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer.shutil, 'disk_usage', lambda folder: SimpleNamespace(free=free))
    with lmdb.open(str(tmp_path / 'lq')) as lq_env, lmdb.open(str(tmp_path / 'gt')) as gt_env:
        with pytest.raises(PrepError, match='64 MiB left') if is_full else nullcontext():
            lmdb_writer._commit([('a', b'x' * 10, b'y' * 20)], lq_env=lq_env, gt_env=gt_env)
        assert (lq_env.stat()['entries'], gt_env.stat()['entries']) == ((0, 0) if is_full else (1, 1))


def test_a_full_map_doubles_until_all_fits(tmp_path):
    with lmdb.open(str(tmp_path / 'lq'), map_size=2**20) as env:
        lmdb_writer._put(env, [(str(number), b'x' * 2**20) for number in range(3)])
        assert env.info()['map_size'] == 2**22
        assert env.stat()['entries'] == 3

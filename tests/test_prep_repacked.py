"""Archives as people have them: repacked, nested, zipped. What is taken, and what is refused with which words."""

from __future__ import annotations

import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest

from datasets_prep import gopro, hide, realblur
from datasets_prep.archives import ArchivePath
from datasets_prep.cli import run
from datasets_prep.trees import pictures
from tests.prep_trees import (
    assert_holds,
    centre,
    gopro_tree,
    hide_tree,
    picture,
    read_lmdb,
    realblur_tree,
    save,
)

SMALL = ['--crop-size', '32', '--crop-step', '16', '--val-count', '3', '--val-crop', '16', '--workers', '1']


def flat_gopro(root: Path, layout: dict[str, tuple[str, str]]) -> dict:
    """GoPro's pairs in the flat folders that `layout` names for each part: (blurred, sharp)."""
    content = gopro_tree(root.with_name('original'))
    for part, names in layout.items():
        for key, pair in content[part].items():
            for name, side in zip(names, pair):
                save(root / name / f'{key}.png', side)
    return content


def zipped(folder: Path, *, top: str = '') -> Path:
    """A zip of a folder, with a file manager's traces, beside the folder, which goes."""
    path = folder.with_suffix('.zip')
    with zipfile.ZipFile(path, 'w') as archive:
        for file in sorted(folder.rglob('*')):
            if file.is_file():
                archive.write(file, Path(top) / file.relative_to(folder))
        archive.writestr('__MACOSX/train/._a.png', b'x')
    shutil.rmtree(folder)
    return path


def tarred(folder: Path, *, mode: str = 'w') -> Path:
    path = folder.with_suffix('.tar' if mode == 'w' else '.tar' + mode[1:].replace(':', '.'))
    with tarfile.open(path, mode) as archive:
        archive.add(folder, folder.name)
    shutil.rmtree(folder)
    return path


def refused(main, capsys, *args) -> str:
    assert run(main, [*map(str, args), '--workers', '1']) == 2
    message = capsys.readouterr().err
    assert message.startswith('error: ') and 'Traceback' not in message
    return message


GOPRO_LAYOUTS = {
    'blurred and sharp': {p: (f'{p}/blurred', f'{p}/sharp') for p in ('train', 'test')},
    'Uformer': {p: (f'{p}/input', f'{p}/groundtruth') for p in ('train', 'test')},
    'mmagic': {p: (f'{p}/blur', f'{p}/sharp') for p in ('train', 'test')},
    'images inside': {p: (f'{p}/blur/images', f'{p}/sharp/images') for p in ('train', 'test')},
    'nested twice': {p: (f'GoPro/GoPro/{p}/input', f'GoPro/GoPro/{p}/target') for p in ('train', 'test')},
    'HI-Diff': {
        'train': ('GoPro/train/input', 'GoPro/train/target'),
        'test': ('test/GoPro/input', 'test/GoPro/target'),
    },
    'Restormer': {
        'train': ('Datasets/Downloads/GoPro/input', 'Datasets/Downloads/GoPro/target'),
        'test': ('Datasets/test/GoPro/input', 'Datasets/test/GoPro/target'),
    },
}


@pytest.mark.parametrize('packed', ['folder', 'zip', 'tar'])
@pytest.mark.parametrize('layout', GOPRO_LAYOUTS)
def test_gopro_repacked(tmp_path, layout, packed):
    content = flat_gopro(tmp_path / 'archive', GOPRO_LAYOUTS[layout])
    if layout == 'Restormer':  # its crops and the other sets lie beside
        save(tmp_path / 'archive/Datasets/train/GoPro/input_crops/a-1.png', picture(1))
        save(tmp_path / 'archive/Datasets/train/GoPro/target_crops/a-1.png', picture(1))
        for side in ('input', 'target'):
            save(tmp_path / f'archive/Datasets/test/HIDE/{side}/a.png', picture(1))
    given = {'folder': lambda path: path, 'zip': zipped, 'tar': tarred}[packed](tmp_path / 'archive')
    assert gopro.main(['--input', str(given), '--output', str(tmp_path / 'out'), '--partial', *SMALL]) == 0
    assert len(read_lmdb(tmp_path / 'out/train/blur_crops.lmdb')) == 6 * 6
    assert_holds(tmp_path / 'out/test/input.lmdb', tmp_path / 'out/test/target.lmdb', content['test'])
    keys = sorted(content['test'])
    chosen = {key: content['test'][key] for key in (keys[0], keys[2], keys[5])}
    assert_holds(tmp_path / 'out/val/input.lmdb', tmp_path / 'out/val/target.lmdb', centre(chosen, size=16))
    left = {path.name for path in tmp_path.iterdir()} - {'original', 'out'}
    assert left == {given.name}, 'nothing is unpacked'


@pytest.mark.parametrize('packed', ['zip', 'tar'])
@pytest.mark.parametrize('workers', [1, 2])
def test_the_authors_archives_in_place(tmp_path, packed, workers):
    pack = {'zip': zipped, 'tar': tarred}[packed]
    content = gopro_tree(tmp_path / 'GOPRO_Large')
    given = pack(tmp_path / 'GOPRO_Large')
    args = ['--input', str(given), '--output', str(tmp_path / 'g'), '--partial', *SMALL[:-1], str(workers)]
    assert gopro.main(args) == 0
    assert_holds(tmp_path / 'g/test/input.lmdb', tmp_path / 'g/test/target.lmdb', content['test'])
    content = hide_tree(tmp_path / 'HIDE_dataset')
    given = pack(tmp_path / 'HIDE_dataset')
    assert hide.main(['--input', str(given), '--output', str(tmp_path / 'h'), '--partial', '--workers', '1']) == 0
    assert_holds(tmp_path / 'h/test/input.lmdb', tmp_path / 'h/test/target.lmdb', content)
    content = realblur_tree(tmp_path / 'RealBlur')
    given = pack(tmp_path / 'RealBlur')
    args = ['--input', str(given), '--output', str(tmp_path / 'r'), '--partial', '--workers', '1', '--subset', 'J']
    assert realblur.main(args) == 0
    for part, pairs in content.items():
        assert_holds(tmp_path / 'r' / part / 'input.lmdb', tmp_path / 'r' / part / 'target.lmdb', pairs)


def test_parts_in_several_archives(tmp_path):
    content = flat_gopro(tmp_path / 'archive', GOPRO_LAYOUTS['Uformer'])
    for part in ('train', 'test'):
        (tmp_path / 'archive' / part).rename(tmp_path / part)
    given = [str(zipped(tmp_path / part, top=part)) for part in ('train', 'test')]
    args = ['--output', str(tmp_path / 'out'), '--partial', *SMALL]
    assert gopro.main(['--input', *given, *args]) == 0
    assert_holds(tmp_path / 'out/test/input.lmdb', tmp_path / 'out/test/target.lmdb', content['test'])
    # The folder in which they lie does as well.
    assert gopro.main(['--input', str(tmp_path / 'archive'), str(tmp_path), *args]) == 0


def test_kaggles_gopro_has_no_parts(tmp_path, capsys):
    """1029 pairs, whose names have lost the scene: blur/images and sharp/images."""
    content = flat_gopro(tmp_path / 'archive', {'train': ('gopro_deblur/blur/images', 'gopro_deblur/sharp/images')})
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out']
    message = refused(gopro.main, capsys, *args)
    assert 'not divided into train and test' in message and '--parts train' in message
    assert '6 pairs instead of 2103' in refused(gopro.main, capsys, *args, '--parts', 'train')
    small = [*map(str, args), '--parts', 'train', '--partial', *SMALL]
    assert gopro.main(small) == 0
    assert len(read_lmdb(tmp_path / 'out/train/blur_crops.lmdb')) == 6 * len(content['train'])


def test_a_part_alone(tmp_path):
    """The folder of a part, given as it is: Restormer's Downloads/GoPro, or the original's train."""
    content = gopro_tree(tmp_path / 'original')
    for key, pair in content['train'].items():
        for name, side in zip(('input', 'target'), pair):
            save(tmp_path / f'Downloads/GoPro/{name}/{key}.png', side)
    for number, given in enumerate((tmp_path / 'original/train', tmp_path / 'Downloads/GoPro')):
        out = tmp_path / f'out_{number}'
        assert gopro.main(['--input', str(given), '--output', str(out), '--partial', '--parts', 'train', *SMALL]) == 0
    first, second = (read_lmdb(tmp_path / f'out_{number}/train/sharp_crops.lmdb') for number in range(2))
    assert first == second and len(first) == 36


@pytest.mark.parametrize('names', [('input', 'groundtruth'), ('blurred', 'sharp'), ('blur', 'sharp')])
@pytest.mark.parametrize('place', ['.', 'HIDE/HIDE', 'Datasets/test/HIDE'])
def test_hide_repacked(tmp_path, names, place):
    content = hide_tree(tmp_path / 'original')
    for key, pair in content.items():
        for name, side in zip(names, pair):
            save(tmp_path / 'archive' / place / name / f'{key}.png', side)
    args = ['--input', str(tmp_path / 'archive'), '--output', str(tmp_path / 'out'), '--partial', '--workers', '1']
    assert hide.main(args) == 0
    assert_holds(tmp_path / 'out/test/input.lmdb', tmp_path / 'out/test/target.lmdb', content)


@pytest.mark.parametrize('subset', ['J', 'R'])
@pytest.mark.parametrize('place', ['RealBlur_{}', 'test/RealBlur_{}', 'RealBlur/test/RealBlur_{}', 'RealBlur-{}/test'])
@pytest.mark.parametrize(
    'names', [('{}.png', '{}.png'), ('{}_blur_{}.png', '{}_gt_{}.png'), ('blur_{}.png', 'gt_{}.png')]
)
def test_realblur_repacked(tmp_path, subset, place, names):
    content = realblur_tree(tmp_path / 'original', subset=subset)['test']
    folder = tmp_path / 'archive' / place.format(subset)
    for key, pair in content.items():
        for side, name, array in zip(('input', 'target'), names, pair):
            file = name.format(*key.split('_')) if name.count('{}') == 2 else name.format(key)
            save(folder / side / file, array)
    args = ['--input', str(tmp_path / 'archive'), '--output', str(tmp_path / 'out'), '--partial', '--workers', '1']
    args += ['--subset', subset, '--parts', 'test']
    assert realblur.main(args) == 0
    assert_holds(tmp_path / 'out/test/input.lmdb', tmp_path / 'out/test/target.lmdb', content)
    other = 'R' if subset == 'J' else 'J'
    assert run(realblur.main, [*args[:-3], other, *args[-2:], '--overwrite']) == 2, 'never the other subset'


def test_realblur_names_the_part_that_is_not_there(tmp_path, capsys):
    for side in ('input', 'target'):
        save(tmp_path / f'archive/test/RealBlur_J/{side}/a.png', picture(1))
    args = ['--input', tmp_path / 'archive', '--output', tmp_path / 'out', '--subset', 'J', '--partial']
    assert 'RealBlur_J_train_list.txt is missing (--parts can leave it out)' in refused(realblur.main, capsys, *args)


# Refused


@pytest.mark.parametrize('main', [gopro.main, hide.main])
def test_no_pairs_at_all(tmp_path, main, capsys):
    """--partial does not accept nothing, and the message does not advise it."""
    for folder in ('test/input', 'test/target', 'train/input', 'train/target'):
        (tmp_path / 'archive' / folder).mkdir(parents=True)
    for flags in ([], ['--partial']):
        message = refused(main, capsys, '--input', tmp_path / 'archive', '--output', tmp_path / 'out', *flags)
        assert 'no pairs, where' in message and '--partial' not in message


@pytest.mark.parametrize(
    ('mode', 'kind', 'advice'),
    [('w:gz', 'gzip', 'gunzip -k'), ('w:bz2', 'bzip2', 'bunzip2 -k'), ('w:xz', 'xz', 'xz -dk')],
)
def test_what_is_compressed_as_a_whole(tmp_path, mode, kind, advice, capsys):
    gopro_tree(tmp_path / 'GOPRO_Large', train=1, test=1)
    given = tarred(tmp_path / 'GOPRO_Large', mode=mode)
    message = refused(gopro.main, capsys, '--input', given, '--output', tmp_path / 'out')
    assert f'{given} is compressed as a whole ({kind}' in message and advice in message


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        (b'Rar!\x1a\x07' + b'x' * 600, 'RAR'),
        (b"7z\xbc\xaf'\x1c" + b'x' * 600, '7-Zip'),
        (b'', 'neither a zip nor a tar archive'),
        (b'x' * 600, 'neither a zip nor a tar archive'),
        (b'PK\x03\x04' + b'x' * 600, 'damaged, incomplete or one of several parts'),
    ],
)
def test_files_that_are_no_archives(tmp_path, content, told, capsys):
    given = tmp_path / 'GOPRO_Large.zip'
    given.write_bytes(content)
    message = refused(gopro.main, capsys, '--input', given, '--output', tmp_path / 'out')
    assert told in message and str(given) in message
    assert 'does not exist' not in message


def test_damaged_and_encrypted_entries(tmp_path, capsys):
    gopro_tree(tmp_path / 'archive', train=1, test=1)
    given = zipped(tmp_path / 'archive')
    with zipfile.ZipFile(given) as archive:
        entry = archive.getinfo('test/GOPR0372_07_00/blur/000047.png')
    data = bytearray(given.read_bytes())
    data[entry.header_offset + 200] ^= 1
    given.write_bytes(data)
    args = ['--input', given, '--output', tmp_path / 'out', '--partial', '--parts', 'test']
    message = refused(gopro.main, capsys, *args)
    assert f'{given}/test/GOPR0372_07_00/blur/000047.png: the archive is damaged here' in message
    assert not (tmp_path / 'out/test/input.lmdb').exists()
    encrypted = tmp_path / 'secret.zip'
    with zipfile.ZipFile(encrypted, 'w') as archive:
        archive.writestr('train/a.png', b'x')
    data = bytearray(encrypted.read_bytes())
    data[data.index(b'PK\x01\x02') + 8] |= 1
    encrypted.write_bytes(data)
    message = refused(gopro.main, capsys, '--input', encrypted, '--output', tmp_path / 'out')
    assert f'{encrypted} is encrypted (train/a.png)' in message


def test_a_truncated_tar(tmp_path, capsys):
    gopro_tree(tmp_path / 'archive', train=1, test=1)
    given = tarred(tmp_path / 'archive')
    given.write_bytes(given.read_bytes()[: given.stat().st_size // 2])
    message = refused(gopro.main, capsys, '--input', given, '--output', tmp_path / 'out', '--partial')
    assert str(given) in message


def test_odd_names_in_archives(tmp_path):
    given = tmp_path / 'odd.zip'
    with zipfile.ZipFile(given, 'w') as archive:
        for name in ('a\\b\\x.png', './a/y.png', '/a//z.png', 'a/.hidden/u.png', '__MACOSX/a/x.png', 'a/b/'):
            archive.writestr(name, b'x')
    found = pictures(ArchivePath(given), recursive=True)
    assert sorted(str(path) for path in found) == [f'{given}/a/{name}' for name in ('b/x.png', 'y.png', 'z.png')]
    assert [path.read_bytes() for path in found] == [b'x'] * 3
    assert sorted(path.name for path in pictures(ArchivePath(given, 'a'))) == ['y.png', 'z.png']
    with pytest.raises(FileNotFoundError, match='No such file in the archive'):
        ArchivePath(given, 'a/nothing.png').read_bytes()


def test_the_words_in_the_docs_are_those_of_the_code():
    root = Path(__file__).resolve().parents[1]
    table = (root / 'docs/data.md').read_text().partition('| refused | with |')[2].partition('\n## ')[0]
    messages = re.findall(r'^\| [^|]+ \| `([^`]+)` \|', table, re.MULTILINE)
    assert len(messages) > 9
    source = re.sub(r"'\s*\n\s*f?'", '', '\n'.join(path.read_text() for path in (root / 'datasets_prep').glob('*.py')))
    for message in messages:
        pattern = re.escape(message.partition(' ...')[0].partition(' Expected is')[0]).replace('%s', r'\{[^}]*\}')
        assert re.search(pattern, source), message


def test_a_part_that_is_not_there_is_never_taken_from_another(tmp_path, capsys):
    content = gopro_tree(tmp_path / 'original')
    shutil.rmtree(tmp_path / 'original/test')
    for key, pair in content['train'].items():
        for name, side in zip(('input', 'target'), pair):
            for folder in ('flat/train', 'Datasets/Downloads/GoPro', 'real/test/RealBlur_J'):
                save(tmp_path / folder / name / f'{key}.png', side)
    for folder in ('original', 'flat', 'Datasets', 'Datasets/Downloads'):
        args = ['--input', tmp_path / folder, '--output', tmp_path / 'out', '--partial', '--parts', 'test']
        assert 'holds the archive' in refused(gopro.main, capsys, *args)
    args = [
        '--input',
        tmp_path / 'real',
        '--output',
        tmp_path / 'out',
        '--partial',
        '--subset',
        'J',
        '--parts',
        'train',
    ]
    assert 'holds the archive' in refused(realblur.main, capsys, *args)
    assert not (tmp_path / 'out').exists()


def test_scenes_may_have_other_names(tmp_path):
    content = gopro_tree(tmp_path / 'archive', scenes=1)
    for part in content:
        (tmp_path / 'archive' / part / 'GOPR0372_07_00').rename(tmp_path / 'archive' / part / 'street')
    args = ['--input', str(tmp_path / 'archive'), '--output', str(tmp_path / 'out'), '--partial', '--parts', 'test']
    assert gopro.main([*args, '--workers', '1']) == 0
    assert sorted(read_lmdb(tmp_path / 'out/test/input.lmdb'))[0] == 'street-000047'

"""The small benchmark, from packages that the tests make, and what its list says."""

import hashlib

import numpy as np
import pytest

from datasets_prep import small
from datasets_prep.box import box_pictures
from datasets_prep.debian import get_packages, read_files
from datasets_prep.errors import PrepError
from datasets_prep.small import Picture, blurred_pairs, licences, listed_pictures, make, read_pictures
from tests.prep_packages import photograph, write_deb
from tests.prep_trees import read_lmdb

APT_GET = """#!/bin/sh
shift  # "download"
for name; do
    [ "$name" = bad ] && { echo "E: Unable to locate package bad"; exit 100; }
    echo > "${name}_1_all.deb"
done
"""


@pytest.fixture
def debs(tmp_path):
    """Two packages with four pictures; gives the folder and the list."""
    folder = tmp_path / 'debs'
    folder.mkdir()
    contents = {f'usr/share/p{n}.png': photograph(n) for n in range(4)}
    write_deb(folder / 'one_1.0-1_all.deb', {k: contents[k] for k in ('usr/share/p0.png', 'usr/share/p1.png')})
    write_deb(
        folder / 'two_2%3a1_all.deb',
        {k: contents[k] for k in ('usr/share/p2.png', 'usr/share/p3.png')},
        compression='gz',
    )
    pictures = [
        Picture(
            'test' if n == 3 else 'train',
            f'p{n}',
            'one' if n < 2 else 'two',
            path,
            f'author {n}',
            'CC0',
            hashlib.sha256(content).hexdigest(),
        )
        for n, (path, content) in enumerate(contents.items())
    ]
    return folder, pictures


def test_the_list_has_enough_pictures_each_on_one_side_with_a_licence():
    pictures = listed_pictures()
    count = {name: sum(picture.set == name for picture in pictures) for name in ('train', 'test')}
    assert count['train'] >= 40
    assert count['test'] >= 10
    assert len(pictures) == count['train'] + count['test']
    for attribute in ('name', 'path', 'sha256'):
        assert len({getattr(picture, attribute) for picture in pictures}) == len(pictures)
    assert all(len(picture.sha256) == 64 and picture.author and picture.licence for picture in pictures)


def test_it_makes_all_sets_and_the_licences_and_again_the_same(debs, tmp_path):
    folder, pictures = debs
    out = tmp_path / 'small'
    make(out, debs=folder, pictures=pictures, workers=1)
    make(tmp_path / 'again', debs=folder, pictures=list(reversed(pictures)), workers=1)
    counts = {}
    for name in ('train/blur_crops', 'train/sharp_crops', 'test/input', 'test/target'):
        entries, again = (read_lmdb(folder / f'{name}.lmdb') for folder in (out, tmp_path / 'again'))
        assert entries == again
        counts[name] = len(entries)
    # 150 x 160 gives four crops of 128.
    assert counts == {'train/blur_crops': 48, 'train/sharp_crops': 48, 'test/input': 2, 'test/target': 2}
    text = (out / 'LICENCES.md').read_text()
    assert text == licences(pictures)
    assert '| test | p3 | two | usr/share/p3.png | author 3 | CC0 |' in text


def test_the_last_pair_of_a_picture_is_sharp_outside_of_a_part(debs):
    _, pictures = debs
    content = photograph(1, height=300, width=400)
    changed = []
    for pair in blurred_pairs(pictures[1], content):
        difference = np.abs(pair.lq.astype(int) - pair.gt).max(axis=2)
        changed.append((difference > 40).mean())
    *moving, steady = changed
    assert 0.02 < steady < 0.4 < min(moving), changed


def test_missing_and_changed_pictures_are_all_named(debs):
    folder, pictures = debs
    write_deb(folder / 'two_2%3a1_all.deb', {'usr/share/p2.png': photograph(99)})
    with pytest.raises(PrepError) as caught:
        read_pictures(pictures, folder, download=False)
    message = str(caught.value)
    assert '2 problem(s)' in message
    assert 'p2.png in two_2%3a1_all.deb is not the picture that small_pictures.csv lists' in message
    assert 'two_2%3a1_all.deb has no usr/share/p3.png' in message
    assert 'bookworm' in message
    assert '--debs' in message


def test_missing_packages_are_named_with_what_to_do(debs, monkeypatch):
    folder, pictures = debs
    (folder / 'one_1.0-1_all.deb').unlink()
    with pytest.raises(PrepError, match=r'has no one_\*\.deb.*apt-get download one'):
        read_pictures(pictures, folder, download=False)
    monkeypatch.setattr('shutil.which', lambda name: None)
    with pytest.raises(PrepError, match=r'there is no apt-get on this machine.*apt-get download one'):
        read_pictures(pictures, folder, download=True)
    (folder / 'two_3_all.deb').touch()
    with pytest.raises(PrepError, match='several versions of a package'):
        read_pictures(pictures, folder, download=False)


def test_packages_are_fetched_and_a_failed_download_leaves_nothing(tmp_path, monkeypatch):
    tool = tmp_path / 'bin/apt-get'
    tool.parent.mkdir()
    tool.write_text(APT_GET)
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tool.parent}:/bin:/usr/bin')
    folder = tmp_path / 'debs'
    found = get_packages(['one', 'two'], folder, download=True)
    assert found == {name: folder / f'{name}_1_all.deb' for name in ('one', 'two')}
    with pytest.raises(PrepError, match=r'Unable to locate package bad(.|\n)*apt-get download three bad'):
        get_packages(['one', 'three', 'bad'], folder, download=True)
    assert sorted(path.name for path in folder.iterdir()) == ['one_1_all.deb', 'two_1_all.deb']


@pytest.mark.parametrize('architecture', ['x86_64-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf'])
def test_a_picture_below_the_folder_of_an_architecture_is_found_on_each(architecture, tmp_path):
    package = tmp_path / 'one_1.0-1_all.deb'
    write_deb(package, {f'usr/lib/{architecture}/qt5/p.png': photograph(0), 'usr/lib/python3/p.png': photograph(1)})
    wanted = ['usr/lib/*/qt5/p.png', 'usr/lib/python3/p.png']
    assert read_files(package, wanted) == dict(zip(wanted, (photograph(0), photograph(1))))


def test_no_listed_picture_is_of_one_architecture_alone():
    assert not [picture.path for picture in box_pictures() if '-linux-gnu' in picture.path]


@pytest.mark.parametrize('damage', ['empty', 'text', 'truncated', 'changed', 'no data'])
def test_a_damaged_package_is_told(damage, debs):
    folder, _ = debs
    path = folder / 'one_1.0-1_all.deb'
    content = {
        'empty': b'',
        'text': b'<html>not found</html>' * 9,
        'truncated': path.read_bytes()[:-30000],
        'changed': path.read_bytes()[:-300] + bytes(100) + path.read_bytes()[-200:],
        'no data': path.read_bytes()[:132],
    }[damage]
    path.write_bytes(content)
    with pytest.raises(PrepError, match=r'one_1\.0-1_all\.deb cannot be read as a Debian package'):
        read_files(path, ['usr/share/p1.png'])


def test_the_command_checks_without_network_and_writes_nothing(debs, tmp_path, monkeypatch, capsys):
    folder, pictures = debs
    monkeypatch.setattr(small, 'listed_pictures', lambda: pictures)
    monkeypatch.setattr('subprocess.run', None)
    assert small.main(['--check', '--debs', str(folder), '--output', str(tmp_path / 'small')]) == 0
    assert '3 photographs for training, 1 for testing' in capsys.readouterr().out
    assert not (tmp_path / 'small').exists()


def test_sets_of_other_crops_are_refused_and_made_anew_when_asked(debs, tmp_path, monkeypatch, capsys):
    folder, pictures = debs
    monkeypatch.setattr(small, 'listed_pictures', lambda: pictures)
    command = ['--debs', str(folder), '--output', str(tmp_path / 'small'), '--workers', '1']
    with monkeypatch.context() as older:
        older.setattr(small, 'STEP', small.STEP - 10)
        assert small.main(command) == 0
    with pytest.raises(PrepError, match='was prepared with other options') as refused:
        small.main(command)
    assert '--overwrite' in str(refused.value)
    assert small.main([*command, '--overwrite']) == 0
    assert small.main(command) == 0
    assert '3 photographs for training' in capsys.readouterr().out

"""Pictures out of Qt resources in Debian packages, and what is said of damaged ones."""

import struct

import pytest

from datasets_prep.debian import read_files
from datasets_prep.errors import PrepError
from datasets_prep.qt_resources import resource_files
from tests.prep_packages import write_deb

FILES = {
    'game/pictures/dog.webp': b'dog' * 40,
    'game/pictures/größe.webp': b'',
    'game/text.qml': b'packed',
    'a.png': b'a',
}


def resource(files: dict[str, bytes], *, version: int = 3, compressed: tuple[str, ...] = ()) -> bytes:
    """A Qt resource: the folders' entries breadth first, so that those of one folder lie behind each other."""
    levels, entries = [('', 0)], [('', None)]
    names, contents, tree = b'', b'', b''
    for path, number in levels:  # grows while it is read
        inner = [p[len(path) :].lstrip('/') for p in files if p.startswith(f'{path}/' if path else '')]
        children = sorted({p.split('/')[0] for p in inner})
        entries[number] = (entries[number][0], (len(children), len(entries)))
        for child in children:
            whole = f'{path}/{child}' if path else child
            entries.append((child, whole if whole in files else None))
            if whole not in files:
                levels.append((whole, len(entries) - 1))
    for name, what in entries:
        place = struct.pack('>I', len(names))
        names += struct.pack('>HI', len(name), 0) + name.encode('utf-16-be')
        if isinstance(what, tuple):
            tree += place + struct.pack('>H2I', 2, *what)
        else:
            tree += place + struct.pack('>3HI', int(what in compressed), 0, 1, len(contents))
            contents += struct.pack('>I', len(files[what])) + files[what]
        tree += bytes(8 if version > 1 else 0)
    header = 24 if version == 3 else 20
    places = (header, header + len(tree), header + len(tree) + len(contents))
    flags = bytes(4 if version == 3 else 0)
    return b'qres' + struct.pack('>4I', version, *places) + flags + tree + contents + names


@pytest.mark.parametrize('version', [1, 2, 3])
def test_files_have_their_paths_and_contents(version):
    assert dict(resource_files(resource(FILES, version=version))) == FILES


def test_compressed_files_are_left_out():
    found = dict(resource_files(resource(FILES, compressed=('game/text.qml',))))
    assert found == {path: content for path, content in FILES.items() if path != 'game/text.qml'}


def test_whatever_is_cut_off_or_turned_over_is_an_error_or_harmless():
    whole = resource(FILES)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match='Qt resource'):
            list(resource_files(whole[:length]))
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        try:
            list(resource_files(bytes(damaged)))
        except ValueError as error:
            assert 'Qt resource' in str(error)


def test_a_folder_that_lies_in_itself_ends():
    whole = bytearray(resource({'a/b': b'b'}))
    whole[24 + 22 + 10 : 24 + 22 + 14] = struct.pack('>I', 1)  # the first child of `a`, entry 1, is `a`
    with pytest.raises(ValueError, match='lists more files than it has room for'):
        list(resource_files(bytes(whole)))


def test_another_version_is_named():
    with pytest.raises(ValueError, match='version 4 of Qt resources, expected 1 to 3'):
        list(resource_files(b'qres' + struct.pack('>4I', 4, 0, 0, 0)))


def test_a_package_is_read_into_its_resources(tmp_path):
    package = tmp_path / 'one_1_all.deb'
    write_deb(package, {'usr/share/game.rcc': resource(FILES), 'usr/other.rcc': b'none', 'usr/dog.webp': b'out'})
    wanted = ['usr/share/game.rcc/game/pictures/dog.webp', 'usr/share/game.rcc/missing', 'usr/dog.webp']
    assert read_files(package, wanted) == {wanted[0]: FILES['game/pictures/dog.webp'], 'usr/dog.webp': b'out'}


def test_a_whole_resource_can_be_read_too(tmp_path):
    package = tmp_path / 'one_1_all.deb'
    write_deb(package, {'usr/other.rcc': b'none'})
    assert read_files(package, ['usr/other.rcc']) == {'usr/other.rcc': b'none'}


def test_a_damaged_resource_is_an_error_that_names_the_package(tmp_path):
    package = tmp_path / 'one_1_all.deb'
    write_deb(package, {'usr/game.rcc': resource(FILES)[:-3]})
    with pytest.raises(PrepError, match=r'one_1_all\.deb cannot be read .*Qt resource'):
        read_files(package, ['usr/game.rcc/a.png'])

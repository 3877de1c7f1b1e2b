"""Files out of Qt's binary resources (`.rcc`), in which some packages keep their pictures.

A resource begins with ``qres`` and says where three tables lie: the tree, the names and the contents. An entry of the
tree is a folder (how many entries it has, and the first one's number) or a file (where its content lies). Numbers are
big-endian. As Qt's ``rcc`` writes it: https://doc.qt.io/qt-5/rcc.html and QResource in qtbase.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

SUFFIX = '.rcc'
_MAGIC = b'qres'
_FOLDER, _COMPRESSED = 0x02, 0x01 | 0x04  # flags of an entry; zlib and zstd
_ENTRY_SIZES = {1: 14, 2: 22, 3: 22}  # by version; from 2 on with the time of each file


def resource_files(content: bytes) -> Iterator[tuple[str, bytes]]:
    """Path (without a leading slash) and content of each file of a resource that is stored as it is, uncompressed.

    Pictures are: what is compressed already does not get smaller, and `rcc` then leaves it alone.

    Raises:
        ValueError: no resource of version 1 to 3, or a damaged one.
    """
    try:
        if content[: len(_MAGIC)] != _MAGIC:
            raise ValueError('it does not begin as a Qt resource')
        version, tree, contents, names = struct.unpack_from('>4I', content, len(_MAGIC))
        if version not in _ENTRY_SIZES:
            raise ValueError(f'version {version} of Qt resources, expected 1 to 3')
        folders = [(0, '')]
        seen = 0
        while folders:
            number, path = folders.pop()
            seen += 1
            place = tree + number * _ENTRY_SIZES[version]
            name, flags = struct.unpack_from('>IH', content, place)
            if number:  # the first entry, the root, has no name
                path += ('/' if path else '') + _name(content, names + name)
            if flags & _FOLDER:
                count, first = struct.unpack_from('>2I', content, place + 6)
                if (seen + len(folders) + count) * _ENTRY_SIZES[version] > len(content):
                    raise ValueError('the Qt resource lists more files than it has room for')
                folders += [(child, path) for child in range(first, first + count)]
            elif not flags & _COMPRESSED:
                (start,) = struct.unpack_from('>I', content, place + 10)
                yield path, _file(content, contents + start)
    except (struct.error, UnicodeDecodeError) as error:
        raise ValueError(f'the Qt resource is damaged ({error})') from error


def _name(content: bytes, place: int) -> str:
    """The name at a place: length in UTF-16 units (2 bytes), a hash (4), the units."""
    (length,) = struct.unpack_from('>H', content, place)
    return _part(content, place + 6, 2 * length).decode('utf-16-be')


def _file(content: bytes, place: int) -> bytes:
    """The file at a place: its length (4 bytes), its content."""
    (length,) = struct.unpack_from('>I', content, place)
    return _part(content, place + 4, length)


def _part(content: bytes, start: int, length: int) -> bytes:
    if start + length > len(content):
        raise ValueError('the Qt resource is cut off')
    return content[start : start + length]

"""Debian packages with pictures, for the sets that are made of such."""

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np


def photograph(seed: int, *, height: int = 150, width: int = 160) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 256, (height // 5, width // 5, 3), dtype=np.uint8)
    return cv2.imencode('.png', cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST))[1].tobytes()


def archive(members: dict[str, bytes], mode: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def write_deb(path: Path, files: dict[str, bytes], *, compression: str = 'xz') -> None:
    """A Debian package: an `ar` archive of three members."""
    data = {f'./{name}': content for name, content in files.items()}
    members = {
        'debian-binary': b'2.0\n',
        'control.tar.xz': archive({'./control': b'Package: x\nfiller'}, 'w:xz'),
        f'data.tar.{compression}': archive(data, f'w:{compression}'),
    }
    with path.open('wb') as file:
        file.write(b'!<arch>\n')
        for name, content in members.items():
            file.write(f'{name:<16}{0:<12}{0:<6}{0:<6}{"100644":<8}{len(content):<10}`\n'.encode() + content)
            file.write(b'\n' * (len(content) % 2))

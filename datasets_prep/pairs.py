"""A pair of pictures, and the keys under which LMDB stores them."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Union

import numpy as np

from aibnet_arch.messages import some
from datasets_prep.archives import FilePath

SAFE_CHARACTERS = frozenset(string.ascii_letters + string.digits + '_-')
# LMDB's limit is 511 bytes; a crop adds "_s" and a number.
MAX_KEY_LENGTH = 511 - 8


class Made(ABC):
    """A picture that is made in the process that needs it, when it is needed: large sets do not fit into memory."""

    @abstractmethod
    def make(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8 BGR."""

    @abstractmethod
    def source_bytes(self) -> int:
        """Size of what it is made of, which tells replaced files."""


Source = Union[FilePath, Made, np.ndarray]


@dataclass(frozen=True)
class Pair:
    """One blurred picture (`lq`) and its sharp one (`gt`) under one key.

    A source is the path of a picture file (perhaps in an archive), a picture to be `Made`, or a uint8 array of shape
    (H, W, 3) in OpenCV's BGR order.
    """

    key: str
    lq: Source
    gt: Source


def safe_key(name: str) -> str:
    """An LMDB key that BasicSR can read back: ASCII letters, digits, ``_`` and ``-`` alone.

    BasicSR cuts a line of ``meta_info.txt`` at its first dot, and names saved pictures after what follows the
    last slash, so neither may occur: ``109fromGOPR1096.MP4`` becomes ``109fromGOPR1096_MP4``. Characters outside
    ASCII become their code (``u56fe``), so that names in other scripts stay distinct.
    """
    return ''.join(c if c in SAFE_CHARACTERS else '_' if c.isascii() else f'u{ord(c):04x}' for c in name)


def index_by_key(files: Iterable[tuple[str, FilePath]], *, problems: list[str]) -> dict[str, FilePath]:
    """Maps safe keys to files; two files whose names give one key are added to `problems`, both named.

    Args:
        files: (name, path); the name need not be safe.
    """
    found: dict[str, FilePath] = {}
    for name, path in files:
        key = safe_key(name)
        if key in found:
            problems.append(f"{found[key]} and {path} would get the same key '{key}': rename one of them")
        else:
            found[key] = path
    return found


def match(*, lq: Iterable[tuple[str, FilePath]], gt: Iterable[tuple[str, FilePath]], problems: list[str]) -> list[Pair]:
    """Pairs of (name, path) whose names give one key, sorted by it.

    Files without a partner, the first ten by name, and keys that occur twice are added to `problems`.
    """
    blurred, sharp = (index_by_key(files, problems=problems) for files in (lq, gt))
    for files, others, missing in ((blurred, sharp, 'sharp'), (sharp, blurred, 'blurred')):
        alone = [files[key] for key in sorted(files.keys() - others.keys())]
        if alone:
            problems.append(f'{len(alone)} file(s) without the {missing} partner: {some(alone)}')
    return [Pair(key, blurred[key], sharp[key]) for key in sorted(blurred.keys() & sharp.keys())]


def key_problems(pairs: Sequence[Pair]) -> list[str]:
    """What forbids these pairs to be stored: no pairs, unsafe, too long or repeated keys."""
    problems = [] if pairs else ['no pairs to store']
    seen: set[str] = set()
    for pair in pairs:
        if not pair.key or safe_key(pair.key) != pair.key:
            problems.append(f"key '{pair.key}' may hold only ASCII letters, digits, '_' and '-' (see safe_key)")
        if len(pair.key) > MAX_KEY_LENGTH:
            problems.append(f"key '{pair.key[:40]}...' is longer than {MAX_KEY_LENGTH} bytes")
        if pair.key in seen:
            problems.append(f"key '{pair.key}' occurs twice")
        seen.add(pair.key)
    return problems

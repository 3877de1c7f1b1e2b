"""What the tools of the weights in the box share: pairs of a prepared set, and how near a result is to the truth."""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import cv2
import numpy as np

from aibnet_arch.errors import UserError
from datasets_prep.lmdb_reader import read_keys, reading

EQUAL = 100.0  # dB that equal pictures count as


@dataclass(frozen=True)
class Sample:
    """A pair of pictures, (H, W, 3) uint8 RGB."""

    key: str
    lq: np.ndarray
    gt: np.ndarray

    @property
    def is_sharp(self) -> bool:
        """Whether the input is the truth: a picture to be left alone."""
        return np.array_equal(self.lq, self.gt)

    @property
    def kind(self) -> str:
        """'sharp' or 'blurred'."""
        return 'sharp' if self.is_sharp else 'blurred'


def samples(folder: Path) -> Iterator[Sample]:
    """The pairs of ``input.lmdb`` and ``target.lmdb`` in a folder, by key.

    Raises:
        UserError: they are not there.
    """
    lq, gt = folder / 'input.lmdb', folder / 'target.lmdb'
    missing = [str(path) for path in (lq, gt) if not (path / 'data.mdb').is_file()]
    if missing:
        raise UserError(f'there is no {" and no ".join(missing)}: make the set first, see docs/data.md')
    for key in read_keys(lq):
        yield Sample(key.decode(), *(_picture(path, key) for path in (lq, gt)))


def _picture(folder: Path, key: bytes) -> np.ndarray:
    with reading(folder) as transaction:
        content = transaction.get(key)
        if content is None:
            raise UserError(f'{folder} has no {key.decode()}')
        picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise UserError(f'{folder}: {key.decode()} is no picture')
    return np.ascontiguousarray(picture[..., ::-1])


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Of two 8-bit pictures over all channels, in dB, at most :data:`EQUAL`."""
    error = float(np.mean((first.astype(np.float64) - second) ** 2))
    return min(EQUAL, 10 * math.log10(255**2 / error)) if error else EQUAL


@dataclass(frozen=True)
class Row:
    """What a method made of a picture.

    Attributes:
        setting: that it was run with, if it has one.
        input_db, output_db: PSNR of input and result to the truth.
    """

    set: str
    picture: str
    kind: str
    method: str
    setting: str
    input_db: float
    output_db: float

    @property
    def gain_db(self) -> float:
        """How much nearer to the truth the result is."""
        return self.output_db - self.input_db


def figures(rows: Iterable[Row]) -> Mapping[str, float]:
    """Of one method's rows on pictures of the generator: means, the worst case, and how sharp ones are left alone."""
    rows = list(rows)
    blurred, sharp = ([row for row in rows if row.kind == kind] for kind in ('blurred', 'sharp'))
    found: dict[str, float] = {'blurred_pictures': len(blurred), 'sharp_pictures': len(sharp)}
    if blurred:
        found['input_db'] = mean(row.input_db for row in blurred)
        found['output_db'] = mean(row.output_db for row in blurred)
        found['gain_db'] = mean(row.gain_db for row in blurred)
        found['worst_gain_db'] = min(row.gain_db for row in blurred)
        found['improved'] = sum(row.gain_db > 0 for row in blurred)
    if sharp:
        found['sharp_output_db'] = mean(row.output_db for row in sharp)
        found['worst_sharp_output_db'] = min(row.output_db for row in sharp)
    return {name: round(value, 3) for name, value in found.items()}

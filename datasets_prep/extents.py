"""Maps of how far each pixel is blurred, as ``basicsr blurmap --extent`` reads them, in one folder.

Grey PNG files of 16 bit (see datasets_prep.known_blur). The folder grows under a temporary name, each file whole or
not there, and gets its own when all are written; interrupted, the next call writes what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from tqdm import tqdm

from aibnet_arch.files import whole_file
from datasets_prep.errors import raise_if_any
from datasets_prep.known_blur import encode_extent
from datasets_prep.pool import ordered_map
from datasets_prep.storage import Folder, write_manifest


class WithExtent(Protocol):
    """What knows how far each pixel of a picture is blurred."""

    def extent(self) -> np.ndarray:
        """(H, W) float32, pixels.

        Raises:
            ValueError: what it is made of cannot be read.
        """


def write_extents(
    folder: Path, extents: Mapping[str, WithExtent], *, source: str, workers: int, overwrite: bool = False
) -> None:
    """Writes ``<key>.png`` for each of the extents.

    Args:
        folder: does not exist, or was made by this function.
        extents: key of the pair to what knows its extent.
        source: what they are, for the manifest: a folder with others is never taken for this one.
        overwrite: replace a folder that this function made of others.

    Raises:
        PrepError: something else lies there, or extents cannot be read; all of them are named.
    """
    target = Folder(folder)
    raise_if_any(target.foreign())
    target.remove_discarded()
    plan = {'source': source, 'keys': hashlib.sha256('\n'.join(sorted(extents)).encode()).hexdigest()[:16]}
    made = target.manifest()
    if made is not None and made['plan'] != plan:
        if not overwrite:
            raise_if_any(
                [f'{target.current} was made of other pictures or with other options'],
                advice='Choose another --output, or replace it with --overwrite.',
            )
        target.discard(target.current)
    if target.final.exists():
        return
    target.partial.mkdir(parents=True, exist_ok=True)
    with target.lock():
        write_manifest(target.partial, {'complete': False, 'plan': plan})
        todo = [item for item in sorted(extents.items()) if not (target.partial / f'{item[0]}.png').exists()]
        problems = []
        bar = tqdm(total=len(todo), desc=str(folder), unit='map', disable=None)
        write = partial(_write, folder=target.partial)
        with bar:
            for found in ordered_map(write, todo, workers=min(workers, len(todo) or 1)):
                problems += found
                bar.update()
        raise_if_any(problems, advice=f'Repair these files and start again: all others are kept in {target.partial}.')
        write_manifest(target.partial, {'complete': True, 'plan': plan})
    target.finish()
    print(f'{folder}: {len(extents)} maps of extents, done.')


def _write(item: tuple[str, WithExtent], *, folder: Path) -> list[str]:
    key, source = item
    try:
        data = cv2.imencode('.png', encode_extent(source.extent()))[1].tobytes()
    except ValueError as error:
        return [f"the extent of '{key}': {error}"]
    with whole_file(folder / f'{key}.png') as temporary:
        temporary.write_bytes(data)
    return []

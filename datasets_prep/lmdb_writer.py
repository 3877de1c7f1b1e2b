"""Turns pairs of pictures into a pair of LMDB folders; interrupted at any moment, it continues when called again.

How: both folders grow under temporary names. Entries are committed in batches, to the blurred side first, all crops
of a picture in one batch, so a picture whose first key the sharp side holds is stored entirely: the databases
themselves record the progress. When all is stored it is read back and checked, the lists and manifests are written,
and the folders are renamed. All steps can be repeated, and the next start does the first one that is missing.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import lmdb
from tqdm import tqdm

from aibnet_arch.files import PART, write_text
from datasets_prep.crops import Crop
from datasets_prep.encoding import encode_pair
from datasets_prep.errors import PrepError, raise_if_any
from datasets_prep.images import COMPRESS_LEVEL
from datasets_prep.inspection import checksum, inspect, meta_line, pair_problems
from datasets_prep.paired_set import PairedSet
from datasets_prep.pairs import Pair
from datasets_prep.pool import default_workers, ordered_map
from datasets_prep.storage import write_manifest

BATCH_BYTES = 64 * 2**20
# Where the map begins; it doubles whenever it is full, so no guess about the pictures' size can be wrong.
INITIAL_MAP_SIZE = 2**28
DISK_RESERVE = 2**26
META_INFO = 'meta_info.txt'


def write_pairs(
    pairs: Sequence[Pair],
    lq_path: str | Path,
    gt_path: str | Path,
    *,
    crop: Crop | None = None,
    source: str = 'own pictures',
    workers: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> int:
    """Stores pairs of pictures in two LMDB folders that BasicSR's ``PairedImageDataset`` reads.

    Each folder gets ``data.mdb`` (PNG bytes under the pair's key), ``lock.mdb``, BasicSR's ``meta_info.txt`` and
    ``prepared.json`` (what was stored, and its checksum). If the folders are there already, finished with the same
    plan, nothing is done; if a former call was interrupted, this one continues where it ended.

    Args:
        pairs: a key and two pictures each. A picture is the path of a file in any 8-bit format OpenCV reads, or a
            uint8 array of shape (H, W, 3), BGR, 0..255. Both of a pair have equal size; pairs may differ in it.
            Keys hold ASCII letters, digits, ``_`` and ``-`` (see `safe_key`), each once.
        lq_path: folder of the blurred pictures, ending in ``.lmdb``.
        gt_path: folder of the sharp pictures, likewise.
        crop: windows to store instead of whole pictures, under the keys ``<key>_s001``, ...; one in the centre if
            ``crop.step`` is None, under the pair's own key.
        source: what the pictures are, for the manifest. Files are told apart by their keys and this text alone while
            a set is unfinished; arrays by their content too.
        workers: processes, by default as many as there are cores. More than one are spawned, so a script needs the
            ``if __name__ == "__main__":`` guard; 1 stays in this process.
        overwrite: replace folders that were made with other options or from other files; only ever those that this
            function made.
        progress: show progress bars and say what is done.

    Returns:
        The number of entries in each of the folders.

    Raises:
        PrepError: bad pairs, damaged or unequal pictures (all of them named), pictures smaller than the crop,
            folders made with other options, no space left. Pictures stored until then are kept for the next call.
    """
    paired_set = PairedSet(pairs, Path(lq_path), Path(gt_path), crop, source)
    return prepare([paired_set], workers=workers, overwrite=overwrite, progress=progress)[0]


def prepare(
    sets: Sequence[PairedSet], *, workers: int | None = None, overwrite: bool = False, progress: bool = True
) -> list[int]:
    """Makes several sets, after checking all of them; see `write_pairs`. Returns each set's number of entries."""
    if workers is not None and workers < 1:
        raise PrepError(f'--workers must be at least 1, got {workers}.')
    problems = [problem for one in sets for problem in one.input_problems()]
    problems += [problem for one in sets for folder in one.folders for problem in folder.foreign()]
    raise_if_any(problems)
    if overwrite:
        for one in sets:
            if one.conflicts():
                one.discard_old()
    problems = [problem for one in sets for problem in one.conflicts()]
    raise_if_any(problems, advice='Choose another --output, or replace the old set with --overwrite.')
    return [_prepare_one(one, workers=workers or default_workers(), progress=progress) for one in sets]


def _prepare_one(paired_set: PairedSet, *, workers: int, progress: bool) -> int:
    lq, gt = paired_set.folders
    for folder in (lq, gt):
        folder.remove_discarded()
    made = not paired_set.is_finished()
    if made:
        for folder in (lq, gt):
            folder.partial.mkdir(parents=True, exist_ok=True)
        with lq.lock():
            _store(paired_set, workers=workers, progress=progress)
            _complete(paired_set, workers=workers, progress=progress)
    lq.finish()
    gt.finish()
    manifest = lq.manifest()
    assert manifest is not None
    entries = manifest['entries']
    if progress:
        print(f'{lq.final} and {gt.final}: {entries} entries, {"done" if made else "already prepared"}.')
    return entries


def _store(paired_set: PairedSet, *, workers: int, progress: bool) -> None:
    """Stores all pairs that are not stored yet."""
    lq, gt = (folder.partial for folder in paired_set.folders)
    for folder in (lq, gt):
        for leftover in folder.glob(f'.*{PART}'):  # of a process that was killed
            leftover.unlink()
        write_manifest(folder, {'complete': False, 'plan': paired_set.plan()})
    pairs, crop = sorted(paired_set.pairs, key=lambda pair: pair.key), paired_set.crop
    with _open(lq) as lq_env, _open(gt) as gt_env:
        _drop_unmatched(lq_env, gt_env)
        with gt_env.begin(buffers=True) as transaction:
            cursor = transaction.cursor()
            keys = {pair.key: crop.key(pair.key, 0) if crop else pair.key for pair in pairs}  # the first of each
            todo = [pair for pair in pairs if not cursor.set_key(keys[pair.key].encode())]
        done = len(pairs) - len(todo)
        if progress and done:
            print(f'{lq.parent}: going on, {done} of {len(pairs)} pairs are stored already.')
        told, hidden = str(paired_set.lq.parent), None if progress else True
        bar = tqdm(total=len(pairs), initial=done, desc=told, unit='pair', disable=hidden)
        problems, fitting, batch = [], [], []
        encode = partial(encode_pair, crop=crop)
        with bar, closing(ordered_map(encode, todo, workers=min(workers, len(todo) or 1))) as results:
            for encoded in results:
                problems += encoded.problems
                fitting += [encoded.fitting] if encoded.fitting else []
                batch += encoded.entries
                if sum(len(a) + len(b) for _, a, b in batch) >= BATCH_BYTES:
                    _commit(batch, lq_env=lq_env, gt_env=gt_env)
                    batch = []
                bar.update()
        _commit(batch, lq_env=lq_env, gt_env=gt_env)
    if problems and len(fitting) == len(problems):
        raise_if_any(
            problems, advice=f'These pictures are too small for the crops: --crop-size {min(fitting)} fits all.'
        )
    raise_if_any(problems, advice=f'Repair these files and start again: all others are kept in {lq.parent}.')


def _complete(paired_set: PairedSet, *, workers: int, progress: bool) -> None:
    """Reads everything back, and writes the lists and the manifests that say it is complete."""
    folders = [folder.partial for folder in paired_set.folders]
    sides = [list(inspect(folder, deep=False, workers=workers, progress=progress)) for folder in folders]
    problems = pair_problems(lq=sides[0], gt=sides[1])
    raise_if_any(
        problems,
        advice=f'What was written reads back wrong. Delete {folders[0]} and {folders[1]}, check '
        'the disk, and start again.',
    )
    for folder, entries in zip(folders, sides):
        lines = [meta_line(entry, compress_level=COMPRESS_LEVEL) + '\n' for entry in entries]
        write_text(folder / META_INFO, ''.join(lines))
    for folder, entries in zip(folders, sides):
        manifest = {'complete': True, 'plan': paired_set.plan(), 'entries': len(entries), 'checksum': checksum(entries)}
        manifest['data_bytes'] = (folder / 'data.mdb').stat().st_size
        write_manifest(folder, {**manifest, 'source_bytes': paired_set.source_bytes()})


def _open(folder: Path) -> lmdb.Environment:
    return lmdb.open(str(folder), map_size=INITIAL_MAP_SIZE)


def _drop_unmatched(lq_env: lmdb.Environment, gt_env: lmdb.Environment) -> None:
    """Removes what one side alone holds: the batch in which a kill fell (its pictures are stored anew)."""
    for env, partner_env in ((lq_env, gt_env), (gt_env, lq_env)):
        with partner_env.begin(buffers=True) as reading, env.begin(write=True) as writing:
            partner = reading.cursor()
            for key in [key for key in writing.cursor().iternext(values=False) if not partner.set_key(key)]:
                writing.delete(key)


def _commit(batch: list[tuple[str, bytes, bytes]], *, lq_env: lmdb.Environment, gt_env: lmdb.Environment) -> None:
    """Stores a batch durably, on the blurred side first: what the sharp side holds, both hold."""
    size = sum(len(a) + len(b) for _, a, b in batch)
    folder = Path(lq_env.path()).parent
    free = shutil.disk_usage(folder).free
    if free < size + DISK_RESERVE:
        raise PrepError(
            f'{folder}: the disk is full ({free >> 20} MiB left). Free some space and start again: what '
            'is stored so far is kept.'
        )
    _put(lq_env, [(key, lq) for key, lq, _ in batch])
    _put(gt_env, [(key, gt) for key, _, gt in batch])


def _put(env: lmdb.Environment, entries: list[tuple[str, bytes]]) -> None:
    while True:
        try:
            with env.begin(write=True) as transaction:
                for key, value in entries:
                    transaction.put(key.encode('ascii'), value)
            return
        except lmdb.MapFullError:
            env.set_mapsize(2 * env.info()['map_size'])

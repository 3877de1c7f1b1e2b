"""What frozen parts give for a fixed list of crops, computed once and kept on disk: ``train.frozen_cache``.

In stage k the encoder and the k - 1 sub-decoders before the one that trains give the same for the same crop. A run
whose crops are the same in every epoch (``datasets.train.fixed_crops``) reads it from its second epoch on, bit for bit
as it would be computed again, so that the weights come out the same. Rounding hangs on the size of a batch, though not
on the other crops in it: batches of which a crop is missing are computed whole.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Optional

import numpy as np
import torch
from basicsr.utils import get_root_logger
from torch import Tensor

from ..config.problems import Problem, problem
from ..errors import RunError
from ..files import whole_file
from ..locks import Lock
from ..messages import printable
from ..modeling import AIBNet
from .resumed_options import flat_options

DIGEST = 16  # bytes
PAGE = 4096
ENDING = '.features'
# What decides which crops there are, and how they are computed, beside the weights.
_DECIDE = (
    *('manual_seed', 'datasets.train.', 'set of datasets.train.', 'train.amp', 'train.frozen_precision'),
    *('train.channels_last', 'train.float32_matmul_precision'),
)


class RecordFile:
    """A file of records of one size, each found by a digest.

    Its place on the disk is taken when it is made. Digests of 16 bytes come first, zeros where there is no record; one
    is written when its record is on the disk, so that a run that is killed leaves whole records or none.

    Args:
        path: in a folder that this process alone writes to.
        count: of records, at most.
        size: of a record, bytes.

    Raises:
        RunError: the disk does not hold it.
    """

    def __init__(self, path: Path, *, count: int, size: int) -> None:
        self._path, self._count, self._size = path, count, size
        self._start = -(-DIGEST * count // PAGE) * PAGE
        self._bytes = self._start + count * size
        # Of another length it is no file of ours; mapped, it would be stretched by zeros.
        if not path.exists() or path.stat().st_size != self._bytes:
            self._make()
        self._file = path.open('r+b')
        self._records = torch.from_numpy(np.memmap(path, mode='r+', offset=self._start, shape=(count, size)))
        table = self._file.read(DIGEST * count)
        digests = (table[place : place + DIGEST] for place in range(0, len(table), DIGEST))
        self._places = {digest: place for place, digest in enumerate(digests) if any(digest)}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._places

    def read(self, digest: bytes) -> Tensor:
        """The record, (size,) uint8, still on the disk. It must not be written to."""
        return self._records[self._places[digest]]

    def write(self, records: Mapping[bytes, Tensor]) -> bool:
        """Keep records that are not there yet, digest to (size,) uint8; whether there was room for them all."""
        used = set(self._places.values())
        free = (place for place in range(self._count) if place not in used)
        new = dict(zip(records, free))
        try:
            for digest, place in new.items():
                self._write(self._start + place * self._size, records[digest].numpy())
            os.fsync(self._file.fileno())
            for digest, place in new.items():
                self._write(DIGEST * place, digest)
        except OSError as error:
            raise RunError(f'{printable(self._path)} cannot be written: {error.strerror}') from error
        self._places.update(new)
        return len(new) == len(records)

    def clear(self) -> None:
        """Drop all records."""
        self._write(0, bytes(DIGEST * self._count))
        os.fsync(self._file.fileno())
        self._places.clear()

    def close(self) -> None:
        """Let go of the file."""
        del self._records
        self._file.close()

    def _write(self, place: int, content: Any) -> None:
        self._file.seek(place)
        self._file.write(content)
        self._file.flush()

    def _make(self) -> None:
        try:
            with whole_file(self._path) as temporary, temporary.open('xb') as file:
                if hasattr(os, 'posix_fallocate'):  # a write into a mapped file could not say that the disk is full
                    os.posix_fallocate(file.fileno(), 0, self._bytes)
                else:
                    file.truncate(self._bytes)
        except OSError as error:
            text = f'{self._bytes / 1e9:,.2f} GB cannot be taken in {printable(self._path.parent)}: {error.strerror}'
            raise RunError(f'train.frozen_cache: {text}. Make room, or lower datasets.train.fixed_crops.') from error


class FrozenCache:
    """What :meth:`.AIBNet.frozen_features` gives in one stage.

    The folder holds one file. Its name is a checksum of all that decides what is in it: the weights of the frozen
    parts, the list of crops, the settings, the version of torch. A record is found by its crop's pixels. The first
    batch is always computed; records that differ from what this machine computes are dropped, and that is told.

    Args:
        network: in its stage.
        folder: locked as long as this is open; made if need be.
        most: bytes.
        crops: of the list.
        decides: whatever the records depend on, beside the network.
    """

    def __init__(
        self, network: AIBNet, *, folder: Path, most: float, crops: int, decides: Mapping[str, object]
    ) -> None:
        self._network, self._folder, self._most, self._crops = network, folder, most, crops
        self._decides = decides
        self._held = ExitStack()
        self._file: Optional[RecordFile] = None
        self._layouts: list[Tensor] = []
        self._told: set[str] = set()

    @classmethod
    def from_options(cls, opt: Mapping[str, Any], network: AIBNet) -> Optional['FrozenCache']:
        """The cache of a stage; None if there is to be none, or the encoder trains."""
        options = opt['train'].get('frozen_cache')
        if not options or network.frozen_before is None:
            return None
        decides = {key: value for key, value in flat_options(opt).items() if key.startswith(_DECIDE)}
        return cls(
            network,
            folder=_folder(options),
            most=1e9 * options['gigabytes'],
            crops=opt['datasets']['train']['fixed_crops'],
            decides=decides,
        )

    def features(self, image: Tensor) -> tuple[Tensor, ...]:
        """What the frozen parts give for crops, (B, 3, H, W): kept or computed, the same bit for bit."""
        digests = [hashlib.blake2b(crop, digest_size=DIGEST).digest() for crop in image.cpu().contiguous().numpy()]
        if self._file is None or any(digest not in self._file for digest in digests):
            return self._computed(image, digests)
        features = [torch.empty_strided(like.shape, like.stride(), dtype=like.dtype) for like in self._layouts]
        parts = [_bytes_of(feature) for feature in features]
        sizes = [part.shape[1] for part in parts]
        for number, digest in enumerate(digests):
            for part, kept in zip(parts, self._file.read(digest).split(sizes)):
                part[number] = kept
        return tuple(feature.to(image.device) for feature in features)

    def close(self) -> None:
        """Let other runs have the folder."""
        self._held.close()
        self._file = None

    def _computed(self, image: Tensor, digests: Sequence[bytes]) -> tuple[Tensor, ...]:
        features = self._network.frozen_features(image)
        file = self._file = self._file or self._opened(features)
        records = dict(zip(digests, torch.cat([_bytes_of(feature).cpu() for feature in features], dim=1)))
        if any(digest in file and not torch.equal(file.read(digest), record) for digest, record in records.items()):
            file.clear()
            self._tell('The frozen cache differs from what is computed here, by rounding at least: it starts anew.')
        if not file.write({digest: record for digest, record in records.items() if digest not in file}):
            self._tell('The frozen cache is full: the training set has changed. Other crops are computed each time.')
        return features

    def _opened(self, features: Sequence[Tensor]) -> RecordFile:
        """The file of this stage; what others left in the folder is removed."""
        size = sum(_bytes_of(feature).shape[1] for feature in features)
        wanted = _too_large(self._crops * size, self._most, self._folder)
        if wanted:
            raise RunError(f'train.frozen_cache: {wanted}')
        self._layouts = [torch.empty_strided(f.shape, f.stride(), dtype=f.dtype, device='meta') for f in features]
        self._folder.mkdir(parents=True, exist_ok=True)
        told = f'another run uses train.frozen_cache.folder, {printable(self._folder)} ({{owner}}): give this another'
        self._held.enter_context(Lock(self._folder / '.frozen_cache.lock', told=told))
        path = self._folder / f'{self._checksum(features)}{ENDING}'
        for other in self._folder.glob(f'*{ENDING}*'):
            if other != path:
                other.unlink()  # another stage's, or one that was being made when its run was killed
        file = RecordFile(path, count=self._crops, size=size)
        self._held.callback(file.close)
        get_root_logger().info(
            f'Frozen cache: {len(file):,d} of {self._crops:,d} crops are there, {size / 1e6:.2f} MB each, in {path}.'
        )
        return file

    def _checksum(self, features: Sequence[Tensor]) -> str:
        net = self._network
        done = net.frozen_before or 0
        # A checkpoint's weights do not say all of a sub-decoder; of an encoder they do.
        described = [net.encoder_kind, done, net.arguments if done else {}, self._decides, torch.__version__]
        layouts = [[str(f.dtype), f.device.type, list(f.shape), list(f.stride())] for f in features]
        checksum = hashlib.sha256(json.dumps([described, layouts]).encode())
        for part in (net.encoder, *net.sub_decoders[:done], *net.fusions[: max(done - 1, 0)]):
            for name, value in part.state_dict().items():
                checksum.update(f'{name} {tuple(value.shape)}'.encode())
                checksum.update(value.cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
        return checksum.hexdigest()[:32]

    def _tell(self, warning: str) -> None:
        if warning not in self._told:
            get_root_logger().warning(warning)
        self._told.add(warning)


def check_frozen_cache(opt: Mapping[str, Any], network: AIBNet) -> Iterator[Problem]:
    """Why the cache cannot be had, or would be of no use, with these options.

    Args:
        network: that of the options; on the meta device, say.
    """
    train, loading = opt['train'], opt.get('datasets', {}).get('train') or {}
    options, crops = train.get('frozen_cache'), loading.get('fixed_crops')
    if not options:
        return
    processes, gpus = int(os.environ.get('WORLD_SIZE', 1)), opt.get('num_gpu')
    several = processes > 1 or (torch.cuda.device_count() if gpus == 'auto' else gpus or 0) > 1
    reasons = {
        'needs datasets.train.fixed_crops: N. Otherwise each epoch cuts other crops, and none that is kept is met '
        'again': not crops,
        'datasets.train.iters cuts the crops again, elsewhere in each iteration': bool(loading.get('iters')),
        'network_g.code_noise draws other noise in each iteration': network.arguments['code_noise'],
        'nothing is frozen: network_g.freeze_encoder is false, and there is no stage but the first': (
            not network.freeze_encoder and (train.get('strategy') == 'direct' or len(network.sub_decoders) == 1)
        ),
        'is for one process and one GPU at most': several,
        'does not go with train.compile, which computes the frozen parts otherwise': bool(train.get('compile')),
    }
    told = [reason for reason, holds in reasons.items() if holds]
    size = loading.get('gt_size')
    if crops and size and not told:
        each = _reckoned(network.arguments['width'], -(-size // 16) * 16, itemsize=2 if train.get('amp') else 4)
        too_large = _too_large(crops * each, 1e9 * options['gigabytes'], _folder(options))
        told = [too_large] if too_large else []
    places = (('train', 'frozen_cache'), ('datasets', 'train', 'fixed_crops'))
    yield from (problem('train.frozen_cache', text, spoils=places) for text in told)


def _reckoned(width: int, size: int, *, itemsize: int) -> int:
    """Bytes of e1 .. e5, or d1 .. d4 and e5, of a crop."""
    return sum(width * 2**level * (size // 2**level) ** 2 for level in range(5)) * itemsize


def _too_large(wanted: int, most: float, folder: Path) -> Optional[str]:
    """Why so many bytes cannot be had there, if so. What the cache has there already would be taken again."""
    there = next(each for each in (folder, *folder.parents) if each.is_dir())
    free = shutil.disk_usage(there).free + sum(path.stat().st_size for path in folder.glob(f'*{ENDING}'))
    for limit, what in ((most, 'gigabytes allows'), (free, f'there are free in {printable(there)}')):
        if wanted > limit:
            return f'the crops take {wanted / 1e9:,.2f} GB, {what} {limit / 1e9:,.2f}: lower datasets.train.fixed_crops'
    return None


def _folder(options: Mapping[str, Any]) -> Path:
    return Path(os.path.expanduser(options['folder'])).absolute()


def _bytes_of(feature: Tensor) -> Tensor:
    """The bytes of each crop's feature as they lie in memory, (B, bytes) uint8, a view."""
    count = feature[0].numel()
    if (
        feature.stride(0) != count
        or 1 + sum((n - 1) * s for n, s in zip(feature[0].shape, feature[0].stride())) != count
    ):
        raise RunError('train.frozen_cache: the frozen parts give a feature with gaps, which is not kept')
    return feature.as_strided((len(feature), count), (count, 1)).view(torch.uint8)

"""A network on pictures that are arrays."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Optional, Union, cast

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import PictureError
from ..inference.restorer import InferenceSettings, Restorer
from ..inference.tiles import restored_bands, tile_count
from ..modeling.lean import SCALE
from ..modeling.traits import Traits, traits_of
from ..weights.any_network import any_network_of
from ..weights.box import BOX
from ..weights.card import Card
from ..weights.wanted import Wanted
from ..weights.weight_file import WeightFile
from .memory import MARGIN, OTHERS_MARGIN, TileChooser, release_freed_memory
from .steps import told_steps

SMALLEST_TILE = 128
PICTURE_BYTES = 24  # a picture before and after, each pixel, as float32
FEATURE_BYTES = 15  # e1 .. e4 before and after a sub-decoder, for each pixel and channel of e1
WHOLE = 'whole'


class Deblurrer:
    """Restores pictures: 8 or 16 bits, colour or grey, of any size.

    ::

        deblur = Deblurrer.from_file('net_g_latest.pth', memory=4_000_000_000)
        restored = deblur(blurred)  # (H, W, 3) RGB or (H, W) grey, uint8 or uint16, as `blurred`

    A grey picture runs as three equal channels, of whose results the mean is taken.

    Args:
        network: an AIBNet, or what :func:`.read_any_network` gives; it is moved to `device`.
        device: 'auto' (a GPU of CUDA if there is one), 'cpu', 'cuda', 'cuda:1', 'mps' (Apple's; never run here).
        up_to: stop after this sub-decoder; for an AIBNet.
        window: take statistics over a window of that many pixels (:class:`.Lean`); for AIBNet, NAFNet and UFPNet.
        autocast: 'bf16' or 'fp16' (on GPUs alone).
        triton_kernels: see :class:`.InferenceSettings`; for AIBNet, NAFNet and UFPNet on GPUs.
        self_ensemble: mean over the 4 flips of each tile, or the 8 flips and transposes, in that many times the time.
            Transposes help a network alone that has seen transposed pictures in training.
        tile: side of the tiles; 'whole': no tiles; None: as large as the memory limit allows, whole if possible,
            on a CPU without a limit of yours 2048: larger maps are slower there.
            The result of tiles is near but not equal to that of the whole picture: statistics are those of a tile.
        overlap: pixels that neighbouring tiles share at least.
        memory: limit in bytes for the memory of the process, on a GPU for its memory that PyTorch takes;
            None: what is taken already and half of what is free.

    Attributes:
        network: in evaluation mode.
        traits: what it is.
        device: where it runs.
        card: what its file of weights says of itself, if it does.
        window: see above.

    Raises:
        ValueError: settings that do not go together; the message lists them.
        UserError: see :class:`.Restorer`.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        device: str = 'auto',
        up_to: Optional[int] = None,
        window: Optional[int] = None,
        autocast: Optional[str] = None,
        triton_kernels: bool = False,
        self_ensemble: Optional[int] = None,
        tile: Union[int, str, None] = None,
        overlap: int = 32,
        memory: Optional[int] = None,
    ) -> None:
        self.device = find_device(device)
        self.traits = traits_of(network)
        settings = InferenceSettings(window=window, up_to=up_to, autocast=autocast, triton_kernels=triton_kernels)
        problems = list(_foreign_settings(settings, self.traits))
        # What the network does not know at all is told once.
        found = settings.of(self.traits).problems(num_sub_decoders=self.traits.sub_decoders, place='--')
        problems += [problem.replace('--up_to', '--up-to').replace('--triton_', '--triton-') for problem in found]
        if autocast == 'fp16' and self.device.type == 'cpu' and not problems:
            problems.append('--autocast fp16 needs a GPU; bf16 works on CPUs, too')
        if self_ensemble not in (None, 4, 8):
            problems.append(f'--self-ensemble {self_ensemble}: expected 4 or 8')
        if overlap < 0:
            problems.append(f'--overlap {overlap}: expected 0 or more')
        if tile is not None and memory is not None:
            problems.append('--tile and --memory: give one of them')
        if tile not in (None, WHOLE) and not (isinstance(tile, int) and tile > 2 * overlap):
            problems.append(f'--tile {tile}: expected {WHOLE!r}, or pixels, more than twice the overlap ({overlap})')
        if problems:
            raise ValueError('\n'.join(problems))
        self.network = network.to(self.device).eval()
        self.card: Optional[Card] = None
        self.window = window
        self._restorer = Restorer(self.network, settings)
        self._multiple = math.lcm(SCALE, self.traits.multiple)  # of the sides of tiles that are chosen here
        self._ensemble, self._up_to = self_ensemble, up_to
        self._tile, self._overlap = tile, overlap
        # A window makes the network another one, in memory too, on pieces that are larger than it.
        smallest = self._up_to_multiple(max(SMALLEST_TILE, 2 * overlap + 1, 5 * (window or 0) // 4))
        self._chooser = TileChooser(
            self._restore_random,
            device=self.device,
            limit=memory,
            smallest=max(smallest, *self.traits.padded(smallest, smallest)),
            least_slope=max(FEATURE_BYTES * self.traits.feature_channels, PICTURE_BYTES),
            multiple=self._multiple,
            padded=self.traits.padded,
            margin=MARGIN if self.traits.windows else OTHERS_MARGIN,
        )

    @classmethod
    def from_file(
        cls,
        path: Union[str, Path] = BOX,
        *,
        param_key: Optional[str] = None,
        window: Union[int, str, None] = None,
        **settings,
    ) -> 'Deblurrer':
        """Read the network from a file of weights; see the class for the settings.

        Args:
            path: the file, or `box`: the weights that come with the package.
            param_key: entry of the file; by default 'params_ema' if it has that, else 'params'.
            window: by default what the weights want (:class:`.Wanted`); 'whole': none.

        Raises:
            CheckpointError, UserError: see :func:`.read_any_network`.
        """
        weights = WeightFile.read(path)
        network = any_network_of(weights.state_dict(param_key), where=weights.where)
        card = Card.of(weights)
        chosen = window
        if window is None and traits_of(network).windows:
            chosen = Wanted.of(weights).window
        deblurrer = cls(network, window=None if chosen == WHOLE else cast('Optional[int]', chosen), **settings)
        deblurrer.card = card
        del weights
        release_freed_memory(torch.device('cpu'))  # the file's own tensors, as much as the network
        return deblurrer

    def choose_tile(self, height: int, width: int, *, held: Optional[int] = None) -> Optional[int]:
        """The side of the tiles that a picture would be restored in, or None: whole.

        Args:
            height, width: of the picture.
            held: bytes that the picture takes beside the network; by default twice its 8-bit pixels.

        Raises:
            LimitError: the memory limit is too low.
        """
        if self._tile == WHOLE:
            return None
        if isinstance(self._tile, int):
            size: Optional[int] = self._tile
        else:
            size = self._chooser.choose(height, width, held=6 * height * width if held is None else held)
        if size is None or max(height, width) <= size:
            return None
        # No larger than it takes for as few tiles.
        count = tile_count(height, width, size=size, overlap=self._overlap)
        smaller = range(2 * self._overlap + 1, size)
        least = next((s for s in smaller if tile_count(height, width, size=s, overlap=self._overlap) == count), size)
        return size if self._tile else min(self._up_to_multiple(least), size)

    def _up_to_multiple(self, length: int) -> int:
        return -(-length // self._multiple) * self._multiple

    def tile_note(self, height: int, width: int, size: Optional[int]) -> str:
        """For people: whole or in which tiles."""
        if size is None:
            return 'whole'
        count = tile_count(height, width, size=size, overlap=self._overlap)
        return f'{count} tiles of {size}, overlapping by {self._overlap} or more'

    def __call__(self, pixels: np.ndarray, *, progress: Optional[Callable[[float], object]] = None) -> np.ndarray:
        """Restore a picture.

        Args:
            pixels: (H, W, 3) RGB or (H, W) grey, uint8 or uint16.
            progress: called with the part of the picture that was done since the last call: after each tile, and
                without tiles after each block of the network; the sum is 1.

        Returns:
            The same shape and type.

        Raises:
            PictureError: the memory limit is too low for it, or the network's output is not finite.
            TypeError, ValueError: it is no such array.
        """
        _check(pixels)
        height, width = pixels.shape[:2]
        return self.restore(pixels, self.choose_tile(height, width, held=2 * pixels.nbytes), progress=progress)

    def restore(
        self, pixels: np.ndarray, size: Optional[int], *, progress: Optional[Callable[[float], object]] = None
    ) -> np.ndarray:
        """As calling, in tiles of `size` (None: whole)."""
        height, width = pixels.shape[:2]
        if size is None:
            size = max(height, width, 2 * self._overlap + 1)
        part = 1 / tile_count(height, width, size=size, overlap=self._overlap)
        peak = np.iinfo(pixels.dtype).max

        def restored(rows: slice, columns: slice) -> Tensor:
            if progress is not None and part == 1:  # the whole picture: long without a word
                with told_steps(self.network, progress, up_to=self._up_to, runs=self._ensemble or 1):
                    return self._restore_tile(pixels, peak)
            tile = self._restore_tile(pixels[rows, columns], peak)
            if progress is not None:
                progress(part)
            return tile

        result = np.empty_like(pixels, order='C')
        for rows, band in restored_bands(restored, height, width, size=size, overlap=self._overlap):
            values = band[0].clamp_(0, 1).mul_(peak).round_().permute(1, 2, 0).numpy()
            result[rows] = values if pixels.ndim == 3 else values[..., 0]
        return result

    def _restore_tile(self, pixels: np.ndarray, peak: int) -> Tensor:
        """(h, w, 3) or (h, w) -> (1, 3, h, w) or (1, 1, h, w) in about [0, 1], on the CPU."""
        release_freed_memory(self.device)
        tile = torch.from_numpy(pixels.astype(np.float32)).to(self.device).div_(peak)
        tile = tile.permute(2, 0, 1)[None] if pixels.ndim == 3 else tile.expand(1, 3, *tile.shape)
        result = _ensemble(self._restorer, tile, self._ensemble) if self._ensemble else self._restorer(tile)
        if pixels.ndim == 2:
            result = result.mean(dim=1, keepdim=True)
        if not torch.isfinite(result).all():
            raise PictureError(
                "the network's output is not finite there: the weights are damaged, or --autocast is not precise "
                'enough for them'
            )
        return result.cpu()

    def _restore_random(self, side: int) -> None:
        generator = np.random.default_rng(0)
        self.restore(generator.integers(0, 256, (side, side, 3), np.uint8), None)


def find_device(name: str) -> torch.device:
    """The device of a name.

    Raises:
        ValueError: there is none.
    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f'--device {name}: expected auto, cpu, cuda, e.g. cuda:1, or mps') from error
    if device.type not in ('cpu', 'cuda', 'mps'):
        raise ValueError(f'--device {name}: expected auto, cpu, cuda, e.g. cuda:1, or mps')
    if device.type == 'mps' and not torch.backends.mps.is_available():
        raise ValueError(f'--device {name}: PyTorch sees no Apple GPU here')
    if device.type == 'cuda' and (device.index or 0) >= torch.cuda.device_count():
        raise ValueError(f'--device {name}: PyTorch sees {torch.cuda.device_count()} GPUs here')
    return device


def _ensemble(restore: Callable[[Tensor], Tensor], image: Tensor, count: int) -> Tensor:
    """Mean over the first `count` of the eight flips and transposes (Timofte et al., CVPR 2016)."""
    total = torch.zeros_like(image)
    for transposed in (False, True)[: count // 4]:
        for dims in ((), (2,), (3,), (2, 3)):
            turned = image.transpose(2, 3) if transposed else image
            result = restore(turned.flip(dims)).flip(dims)
            total += result.transpose(2, 3) if transposed else result
    return total.div_(count)


def _foreign_settings(settings: InferenceSettings, traits: Traits) -> Iterator[str]:
    """Settings that a network does not know."""
    if settings.window is not None and not traits.windows:
        known = 'AIBNet, NAFNet and UFPNet know a window'
        yield f'--window: {settings.window}: {known}; these weights: {traits.architecture}'
    if settings.up_to is not None and not traits.sub_decoders:
        yield f'--up-to: {settings.up_to}: an AIBNet has sub-decoders; these weights: {traits.architecture}'
    if settings.triton_kernels and not traits.windows:
        yield f'--triton-kernels: AIBNet, NAFNet and UFPNet have parts for them; these weights: {traits.architecture}'


def _check(pixels: np.ndarray) -> None:
    if pixels.dtype not in (np.uint8, np.uint16):
        raise TypeError(f'pixels of type {pixels.dtype}: expected uint8 or uint16')
    if pixels.ndim not in (2, 3) or pixels.shape[2:] not in ((), (3,)) or 0 in pixels.shape:
        raise ValueError(f'pixels of shape {pixels.shape}: expected (H, W, 3) or (H, W)')

"""How a network restores pictures: the settings below `val:` of an option file, and of `basicsr deblur`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any, Optional, get_args

import torch
from torch import Tensor, nn

from ..errors import UserError
from ..messages import did_you_mean
from ..modeling import AIBNet
from ..modeling.lean import SCALE, Lean
from ..modeling.padding import pad_to_multiple
from ..modeling.published import PublishedNetwork
from ..modeling.traits import Traits
from .kernels.requirements import missing
from .matmul_precision import MatmulPrecision, matmul_precision
from .tiles import restore_in_tiles

PRECISIONS = {'bf16': torch.bfloat16, 'fp16': torch.float16}


@dataclass(frozen=True)
class InferenceSettings:
    """Settings of inference; `up_to` is of AIBNet alone, `window` and `triton_kernels` of AIBNet, NAFNet and UFPNet.

    Attributes:
        window: take statistics over a window of that many pixels (:class:`.Lean`). Where the weights of an AIBNet are
            tested, it is by default that of their training.
        up_to: stop after this sub-decoder.
        tiles: {size: 512, overlap: 32} restores tile by tile, in memory that does not grow with the picture.
        channels_last: weights and pictures in channels-last layout.
        autocast: 'bf16' or 'fp16', see torch.autocast; fp16 on GPUs alone.
        compile: run the network through torch.compile.
        float32_matmul_precision: 'highest', 'high' (TF32) or 'medium', of matrix products on GPUs that autocast leaves
            in float32 (:func:`.matmul_precision`).
        triton_kernels: norms, gates and sums over positions by kernels in Triton; not measured on a GPU yet, for which
            they are.
    """

    window: Optional[int] = None
    up_to: Optional[int] = None
    tiles: Optional[Mapping[str, int]] = None
    channels_last: bool = False
    autocast: Optional[str] = None
    compile: bool = False
    float32_matmul_precision: Optional[MatmulPrecision] = None
    triton_kernels: bool = False

    @classmethod
    def from_options(cls, val: Optional[Mapping[str, Any]]) -> 'InferenceSettings':
        """Take from ``val:`` what is given there."""
        given = {field.name: (val or {}).get(field.name) for field in fields(cls)}
        return cls(**{name: value for name, value in given.items() if value is not None})

    def of(self, traits: Traits) -> 'InferenceSettings':
        """Without what a network of these traits does not know."""
        return replace(
            self,
            window=self.window if traits.windows else None,
            up_to=self.up_to if traits.sub_decoders else None,
            triton_kernels=self.triton_kernels and traits.windows,
        )

    def problems(self, *, num_sub_decoders: int, place: str = 'val.') -> Iterator[str]:
        """What is wrong with the values, a message each; `place` stands before an option's name in it."""
        window, tiles, up_to = self.window, self.tiles, self.up_to
        if window is not None and (type(window) is not int or window < SCALE or window % SCALE):
            yield f'{place}window: {window!r}: expected a positive multiple of {SCALE}, e.g. 384'
        if up_to is not None and (type(up_to) is not int or not 1 <= up_to <= num_sub_decoders):
            yield f'{place}up_to: {up_to!r}: the network has sub-decoders 1 to {num_sub_decoders}'
        yield from precision_problems(f'{place}autocast', self.autocast)
        yield from matmul_problems(place, self.float32_matmul_precision)
        for name in ('channels_last', 'compile', 'triton_kernels'):
            if not isinstance(getattr(self, name), bool):
                yield f'{place}{name}: {getattr(self, name)!r}: expected true or false'
        if self.triton_kernels is True:
            problem = missing()
            if problem is not None:
                yield f'{place}triton_kernels: {problem}'
            if self.compile:
                yield f'{place}triton_kernels: not with compile, which makes kernels of its own'
        if tiles is None:
            return
        if not isinstance(tiles, Mapping) or set(tiles) != {'size', 'overlap'}:
            yield f'{place}tiles: {tiles!r}: expected e.g. {{size: 512, overlap: 32}}'
        elif not all(type(n) is int for n in tiles.values()) or not 0 <= 2 * tiles['overlap'] < tiles['size']:
            yield f'{place}tiles: {dict(tiles)}: whole numbers, the overlap less than half the size'


def precision_problems(place: str, name: Any) -> Iterator[str]:
    """What is wrong with an option that names a precision."""
    if name is None:
        return
    if name not in PRECISIONS:
        yield f'{place}: {name!r}: expected bf16, fp16 or ~ (float32)'
    elif name == 'fp16' and not torch.cuda.is_available():
        yield f'{place}: fp16 needs a GPU; bf16 works on CPUs, too'


def matmul_problems(place: str, name: Any) -> Iterator[str]:
    """What is wrong with `float32_matmul_precision`."""
    if name is not None and name not in get_args(MatmulPrecision):
        names = get_args(MatmulPrecision)
        hint = did_you_mean(str(name), names)
        yield f'{place}float32_matmul_precision: {name!r}: expected one of {", ".join(names)}{hint}'


def autocast(device: torch.device, name: Optional[str]) -> AbstractContextManager:
    """The context in which operations run in that precision, by torch's choice."""
    return torch.autocast(device.type, dtype=PRECISIONS[name]) if name else nullcontext()


class Restorer:
    """A network with its settings of inference: (B, 3, H, W) in [0, 1] -> (B, 3, H, W), float32, no gradient.

    The network is put into evaluation mode for the call and left as it was.

    Args:
        network: AIBNet, or any other network of images; see :func:`.traits_of`.
        settings: see :class:`InferenceSettings`.

    Raises:
        UserError: kernels in Triton cannot run where the network is.
    """

    def __init__(self, network: nn.Module, settings: InferenceSettings) -> None:
        self.network = network
        self._settings = settings
        self._run: Callable[..., Tensor] = torch.compile(network) if settings.compile else network
        if settings.channels_last:
            network.to(memory_format=torch.channels_last)
        self._lean: Optional[Lean] = None  # None: the network's own
        if settings.triton_kernels:
            weights = next(network.parameters(), None)
            problem = missing(None if weights is None else weights.device)
            if problem is not None:
                raise UserError(f'triton_kernels: {problem}')
            from .kernels.operations import TritonOperations  # imports triton

            self._lean = Lean(window=settings.window, operations=TritonOperations())
        elif settings.window is not None:
            self._lean = Lean(window=settings.window)

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Restore (B, 3, H, W) in [0, 1], H and W from 1 up; the result is not clipped."""
        settings, network = self._settings, self.network
        with ExitStack() as contexts:
            contexts.callback(network.train, network.training)
            network.eval()
            if self._lean is not None and isinstance(network, (AIBNet, PublishedNetwork)):
                contexts.callback(setattr, network, 'lean', network.lean)
                network.lean = self._lean
            contexts.enter_context(autocast(image.device, settings.autocast))
            contexts.enter_context(matmul_precision(settings.float32_matmul_precision))
            if settings.tiles:
                return restore_in_tiles(self._restore, image, **settings.tiles)
            return self._restore(image)

    def _restore(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        if self._settings.compile and isinstance(self.network, AIBNet):
            # The network itself would pad to the same. A graph is made anew for each remainder, until torch gives up.
            image = pad_to_multiple(image, SCALE)
        if self._settings.channels_last:
            image = image.contiguous(memory_format=torch.channels_last)
        chosen = {} if self._settings.up_to is None else {'up_to': self._settings.up_to}
        restored = self._run(image, **chosen)
        if restored.shape[2:] == image.shape[2:]:
            restored = restored[..., :height, :width]
        return restored.float()

"""All maps of a picture: those of the network and the baselines, each with what it is claimed to find."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..modeling import AIBNet
from .baselines import OtherNetwork, gradient_energy, local_variance
from .contributions import HFS_BLOCK, SFEM, Contributions, observe
from .figures import residual, smooth
from .overlay import colour_ends, colours

GREY_LEVELS, PIXELS, TIMES_MEAN = 'grey levels', 'pixels', 'times mean'
TITLES = {SFEM: 'SFEM', HFS_BLOCK: 'HFSBlock'}
# Larger values mean more blur. The paper claims it of SFEM and HFSBlock; a residual is what a network would change.
CLAIMED = {'residual': 1, 'extent': 1, 'mask': 1}
# Where there is texture, blur has something to take away: more residual. But blur takes texture away: less extent.
TEXTURE = {'residual': 1, 'extent': -1, 'mask': -1}


@dataclass(frozen=True)
class BlurMap:
    """A map of a picture.

    Attributes:
        values: (H, W) float32, smoothed (:func:`.figures.smooth`), 0 or more.
        signs: for each truth ('residual', 'extent', 'mask') whether high (1) or low (-1) values are to mean blurred.
            They were fixed before anything was measured.
    """

    name: str
    title: str
    unit: str
    values: np.ndarray
    signs: Mapping[str, int] = field(default_factory=lambda: CLAIMED)


class Mapper:
    """Makes the maps of pictures.

    Args:
        network: whose blocks are watched, in evaluation mode.
        others: networks whose residuals are baselines.
        parts: also a map for each sub-decoder and level.
    """

    def __init__(
        self, network: AIBNet, *, others: Sequence[OtherNetwork] = (), parts: bool = False, device: torch.device
    ) -> None:
        self.network = network
        self.others = others
        self.parts = parts
        self.device = device

    def __call__(self, picture: np.ndarray) -> Iterator[BlurMap]:
        """The maps of a picture, (H, W, 3) uint8 BGR, one after the other."""
        image = _to_tensor(picture).to(self.device)
        seen = observe(self.network, image)
        yield from _own(seen, picture)
        if self.parts:
            yield from _parts(seen)
        yield BlurMap('local_variance', 'local variance', 'variance', smooth(local_variance(picture)), TEXTURE)
        yield BlurMap('gradient_energy', 'gradient energy', 'energy', smooth(gradient_energy(picture)), TEXTURE)
        for number, other in enumerate(self.others):
            before = sum(earlier.architecture == other.architecture for earlier in self.others[:number])
            name = other.architecture + (f'-{before + 1}' if before else '')
            yield _predicted(f'{name.lower()}_residual', f"{name}'s residual", other(image)[0], picture)


def coloured(network: AIBNet, picture: np.ndarray) -> dict[str, np.ndarray]:
    """What SFEM and HFSBlock contribute and the predicted residual, as colours to lay over a picture.

    Args:
        network: in evaluation mode.
        picture: (H, W, 3) uint8 BGR.

    Returns:
        Title to (H, W, 3) uint8 BGR; the lightest colour is the map's largest value.
    """
    device = next(network.parameters()).device
    own = _own(observe(network, _to_tensor(picture).to(device)), picture)
    return {
        each.title: colours(each.values, ends=colour_ends(each.values, from_zero=each.unit != TIMES_MEAN))
        for each in own
    }


def _own(seen: Contributions, picture: np.ndarray) -> Iterator[BlurMap]:
    """The maps of the network as a whole; a network may lack SFEM or HFSBlock (Table 3)."""
    for kind, title in TITLES.items():
        if any(part.kind == kind for part in seen.levels):
            yield _contribution(kind, title, seen.map(kind))
    yield _predicted('predicted_residual', 'predicted residual', seen.restored, picture)


def _parts(seen: Contributions) -> Iterator[BlurMap]:
    for kind, sub_decoder, level in sorted(seen.levels, key=lambda part: (list(TITLES).index(part.kind), part)):
        values = seen.map(kind, sub_decoder=sub_decoder, level=level)
        title = f'{TITLES[kind]}, sub-decoder {sub_decoder}, level {level}'
        yield _contribution(f'{kind}_{sub_decoder}_{level}', title, values)


def _contribution(name: str, title: str, values: Tensor) -> BlurMap:
    return BlurMap(name, title, TIMES_MEAN, smooth(values.numpy()))


def _predicted(name: str, title: str, restored: Tensor, picture: np.ndarray) -> BlurMap:
    """What a network would change, (3, H, W) RGB: its result is clipped to what a picture can hold, not rounded."""
    result = 255 * restored.clamp(0, 1).permute(1, 2, 0).numpy()[..., ::-1]
    return BlurMap(name, title, GREY_LEVELS, residual(result, picture))


def _to_tensor(picture: np.ndarray) -> Tensor:
    """(H, W, 3) uint8 BGR -> (1, 3, H, W) RGB in [0, 1]."""
    return torch.from_numpy(picture[..., ::-1].astype(np.float32) / 255).permute(2, 0, 1)[None].contiguous()

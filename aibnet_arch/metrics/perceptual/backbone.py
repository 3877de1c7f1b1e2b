"""AlexNet and VGG16 as LPIPS and DISTS look into them, and where their weights come from. Nothing is downloaded."""

import pickle
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from ...errors import UserError
from ...messages import some

if TYPE_CHECKING:
    from torch import Tensor, nn

# torchvision's function and the file of its weights in torch's cache, which has the start of their SHA-256 in its name.
_BACKBONES = {'alex': ('alexnet', 'alexnet-owt-7be5be79.pth'), 'vgg': ('vgg16', 'vgg16-397923af.pth')}
_SOURCE = 'https://download.pytorch.org/models'
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision trained them


def load_features(net: str, weights: Optional[str], *, metric: str) -> 'nn.Sequential':
    """The convolutional layers of a network trained on ImageNet, in evaluation mode, without gradient.

    Args:
        net: 'alex' or 'vgg'.
        weights: file of torchvision's weights of it; None: the file in torch's cache.
        metric: who asks, for messages.

    Raises:
        UserError: torchvision or the weights are missing, or they are another network's.
    """
    name, file = _BACKBONES[net]
    try:
        from torchvision import models
    except ImportError as error:
        raise UserError(f'{metric} needs torchvision ({error}): pip install torchvision') from error
    import torch

    path = Path(weights).expanduser() if weights else Path(torch.hub.get_dir(), 'checkpoints', file)
    if not path.is_file():
        raise UserError(
            f'{metric} needs the weights of {name}, trained on ImageNet, and there is no {path}. With a network: '
            f'python -c "import torchvision; torchvision.models.{name}(weights=\'DEFAULT\')" puts them there. '
            f'Without: copy {_SOURCE}/{file} and name it as weights: FILE below the metric.'
        )
    state = read_tensors(path, metric=metric)
    features = getattr(models, name)(weights=None).features
    own = {key[len('features.') :]: value for key, value in state.items() if key.startswith('features.')}
    wanted = {key: value.shape for key, value in features.state_dict().items()}
    wrong = [key for key, shape in wanted.items() if key not in own or own[key].shape != shape]
    if wrong or len(own) != len(wanted):
        wrong = wrong or [key for key in own if key not in wanted]
        raise UserError(
            f"{metric}: {path} is not torchvision's {name}: missing or of another shape: "
            f'{some(f"features.{key}" for key in wrong)}'
        )
    features.load_state_dict(own)
    for layer in features:
        if hasattr(layer, 'inplace'):
            layer.inplace = False  # features are looked at after the next layer has run
    return features.eval().requires_grad_(False)


def read_tensors(path: Path, *, metric: str) -> 'Mapping[str, Tensor]':
    """A file of tensors by name, read as data: nothing in it is executed.

    Raises:
        UserError: it is missing or holds something else.
    """
    import torch

    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise UserError(f'{metric}: {path} cannot be read as weights: {error!s:.200}') from error
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f'{metric}: {path} holds no weights by name')
    return state


def authors_weights(
    given: Optional[str], package: str, place: str, *, metric: str
) -> 'tuple[Path, Mapping[str, Tensor]]':
    """What the authors of a metric have trained: the file that is given, or one that a package brings, and its tensors.

    The package is not imported.

    Raises:
        UserError: it is not installed, or the file holds something else.
    """
    if given:
        path = Path(given).expanduser()
        return path, read_tensors(path, metric=metric)
    found = find_spec(package)
    folders = found.submodule_search_locations if found else None
    path = Path(next(iter(folders or [''])), place)
    if not folders or not path.is_file():
        distribution = {'DISTS_pytorch': 'DISTS-pytorch'}.get(package, package)
        raise UserError(
            f'{metric} needs the weights of its authors: pip install {distribution} brings them, or name their file '
            f'as linear_weights: FILE below the metric'
        )
    return path, read_tensors(path, metric=metric)


def normalised(picture: np.ndarray, device: Any) -> 'tuple[Tensor, Tensor]':
    """A picture (H, W, 3) uint8 BGR as (1, 3, H, W) RGB in [0, 1], and the same as networks of ImageNet take it."""
    import torch

    values = torch.from_numpy(np.ascontiguousarray(picture[..., ::-1])).to(device).permute(2, 0, 1)[None] / 255
    mean, deviation = (torch.tensor(each, device=device).view(1, 3, 1, 1) for each in (MEAN, DEVIATION))
    return values, (values - mean) / deviation

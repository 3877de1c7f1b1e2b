"""`import basicsr` with torchvision 0.17 and later, in this process and in the workers that it spawns."""

import pickle
import sys
import types
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

from ..data.order import TracedDataset

NAME = 'torchvision.transforms.functional_tensor'


def provide_functional_tensor() -> None:
    """Put the module that PyPI's BasicSR imports where it looks for it, if torchvision has it no more."""
    if NAME in sys.modules or find_spec(NAME):
        return
    from torchvision.transforms import functional

    module: Any = types.ModuleType(NAME)
    module.__spec__ = ModuleSpec(NAME, loader=None)  # find_spec asks for it
    module.rgb_to_grayscale = functional.rgb_to_grayscale
    sys.modules[NAME] = module


class ImportableDataset(TracedDataset):
    """A dataset of BasicSR that finds its way into a spawned worker: there BasicSR has not been imported yet."""

    def __reduce__(self) -> tuple:
        return _unpickled, (pickle.dumps(self.dataset),)


def _unpickled(dataset: bytes) -> ImportableDataset:
    provide_functional_tensor()
    return ImportableDataset(pickle.loads(dataset))

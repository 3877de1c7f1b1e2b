"""AIBNet (Adaptive Identification of Blurred Regions for Accurate Image Deblurring) for BasicSR.

``from aibnet_arch import AIBNet`` needs torch and einops alone; the other rooms are imported when they are used.
"""

from typing import Any

__version__ = '0.2.0'
__all__ = ['AIBNet', '__version__']


def __getattr__(name: str) -> Any:
    # Late: those who prepare data, or ask for --help, need not wait for torch.
    if name == 'AIBNet':
        from .modeling import AIBNet

        return AIBNet
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')

"""AIBNet (Adaptive Identification of Blurred Regions for Accurate Image Deblurring) for BasicSR.

``from aibnet_arch import AIBNet`` needs torch and einops alone. Everything that touches BasicSR
lives in :mod:`aibnet_arch.toolbox`, which this module does not import.
"""

from .modeling import AIBNet

__version__ = '0.1.0'
__all__ = ['AIBNet', '__version__']

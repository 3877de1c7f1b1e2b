"""AIBNet dropped into other people's checkouts of BasicSR: `basicsr dropin`.

What it writes there imports from here. Torch and einops alone.
"""

from .network import StagedAIBNet

__all__ = ['StagedAIBNet']

"""Loss functions: Eq. (7) of the paper, and NAFNet's."""

from .aibnet_loss import AIBNetLoss
from .psnr_loss import PSNRLoss

__all__ = ['AIBNetLoss', 'PSNRLoss']

"""SCA, the simple channel attention branch of Eq. (1), as NAFNet has it."""

from torch import Tensor, nn

from .layers import ConvGate, GlobalPool


class SCA(nn.Module):
    """NAFNet's spatial branch: 1x1 C to 2C, depthwise 3x3, SimpleGate, channel attention, 1x1.

    Shape: (B, C, H, W) -> (B, C, H, W). Without gradient: ``lean/sfdh_block.py``.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = ConvGate(channels)
        self.pool = GlobalPool()
        self.weigh = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        x = self.features(x)
        return self.project(x * self.weigh(self.pool(x)))

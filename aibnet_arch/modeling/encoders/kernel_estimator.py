"""UFPNet's estimator of a blur-kernel code per pixel: a small U-Net on the image (key `kernel_extra`)."""

import torch
from torch import Tensor, nn

KERNEL_TAPS = 19 * 19  # a kernel of 19x19 per pixel, flattened row by row


class ResBlock(nn.Module):
    """Shape: (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return x + self.body(x)


class EncodingBlock(nn.Module):
    """Shape: (B, C_in, H, W) -> skip (B, C, H, W) and (B, C, H/2, W/2)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.Conv_head = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.ResBlock1 = ResBlock(channels)
        self.ResBlock2 = ResBlock(channels)
        self.downsample = nn.Conv2d(channels, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C_in, H, W) -> the skip (B, C, H, W), and from it (B, C, H/2, W/2)."""
        skip = self.skip(x)
        return skip, self.downsample(skip)

    def skip(self, x: Tensor) -> Tensor:
        """(B, C_in, H, W) -> (B, C, H, W)."""
        return torch.relu(self.ResBlock2(self.ResBlock1(self.Conv_head(x))))


class DecodingBlock(nn.Module):
    """Shape: (B, C_in, H/2, W/2) and skip (B, C, H, W) -> (B, C, H, W)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.Conv_t = nn.ConvTranspose2d(in_channels, channels, 3, stride=2, padding=1, output_padding=1)
        self.Conv_head = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.ResBlock1 = ResBlock(channels)
        self.ResBlock2 = ResBlock(channels)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, C_in, H/2, W/2) and the skip (B, C, H, W) -> (B, C, H, W)."""
        return self.merge(self.Conv_t(x), skip)

    def merge(self, x: Tensor, skip: Tensor) -> Tensor:
        """x and skip, (B, C, H, W) -> (B, C, H, W)."""
        return torch.relu(self.ResBlock2(self.ResBlock1(self.Conv_head(torch.cat((x, skip), dim=1)))))


class _Middle(nn.Module):
    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        layers = []
        for _ in range(5):
            layers += [nn.Conv2d(in_channels, channels, 3, padding=1), nn.ReLU()]
            in_channels = channels
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class _Heads(nn.Module):
    """Two maps of 361 channels: the mean code and its uncertainty."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mean = self._head(channels)
        self.var = self._head(channels)

    @staticmethod
    def _head(channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1), nn.ReLU(), nn.Conv2d(channels, KERNEL_TAPS, 3, padding=1)
        )


class KernelEstimator(nn.Module):
    """Standardised kernel code of every pixel, and its uncertainty.

    Attribute names are the keys of the published UFPNet checkpoints. It runs without gradient alone; in less memory:
    ``lean/kernel_estimator.py``.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Encoding_Block1 = EncodingBlock(3, 64)
        self.Encoding_Block2 = EncodingBlock(64, 128)
        self.Conv_mid = _Middle(128, 256)
        self.Decoding_Block1 = DecodingBlock(256, 128)
        self.Decoding_Block2 = DecodingBlock(128, 64)
        self.Conv_tail = _Heads(64)

    def features(self, image: Tensor) -> Tensor:
        """The U-Net without its heads: (B, 3, H, W) in [0, 1] -> (B, 64, H, W)."""
        skip1, x = self.Encoding_Block1(image)
        skip2, x = self.Encoding_Block2(x)
        x = self.Decoding_Block1(self.Conv_mid(x), skip2)
        del skip2
        return self.Decoding_Block2(x, skip1)

    def code(self, features: Tensor, *, noise: bool = False) -> Tensor:
        """The code that the flow prior inverts.

        Args:
            features: (B, 64, H, W).
            noise: draw UFPNet's Gaussian noise, weighted by the uncertainty. The result is then random.

        Returns:
            (B, 361, H, W).
        """
        code = self.Conv_tail.mean(features).softmax(dim=1).sub_(1 / KERNEL_TAPS)  # a softmax has a known mean
        sigma = self.Conv_tail.var(features).sigmoid_().mean(dim=1, keepdim=True)
        deviation = torch.linalg.vector_norm(code, dim=1, keepdim=True) / (KERNEL_TAPS - 1) ** 0.5
        code = code.mul_((1 - sigma**2).sqrt() / deviation)
        return code + sigma * torch.randn_like(code) if noise else code

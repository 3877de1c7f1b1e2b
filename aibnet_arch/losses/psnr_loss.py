"""NAFNet's training loss (Chen et al., ECCV 2022). Torch alone."""

import torch
from torch import Tensor, nn


class PSNRLoss(nn.Module):
    """Negative PSNR of each picture in dB, averaged over the batch: the lower the better.

    Args:
        loss_weight: factor of the loss.
        reduction: 'mean', which published option files write.
        eps: added to each mean squared error, of pictures in [0, 1]; it bounds the loss at -80 dB.

    Raises:
        ValueError: another reduction.
    """

    def __init__(self, *, loss_weight: float = 1.0, reduction: str = 'mean', eps: float = 1e-8) -> None:
        super().__init__()
        if reduction != 'mean':
            raise ValueError(f'reduction={reduction!r}: PSNRLoss knows mean alone')
        self.loss_weight = loss_weight
        self.eps = eps

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """(B, C, H, W) and (B, C, H, W) in [0, 1] -> a scalar.

        Raises:
            ValueError: the shapes differ.
        """
        if pred.shape != target.shape:
            raise ValueError(f'prediction {tuple(pred.shape)} and target {tuple(target.shape)} differ in shape')
        squared_error = (pred - target).square().flatten(1).mean(dim=1)
        return self.loss_weight * 10 * torch.log10(squared_error + self.eps).mean()

"""The combined loss, Eq. (7): Charbonnier, edge and frequency terms. Torch alone."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LARGEST = 1e6  # beyond, float32 would overflow
# MPRNet's five-tap Gaussian (reference [39] of the paper).
GAUSSIAN_TAPS = (0.05, 0.25, 0.4, 0.25, 0.05)


def charbonnier(difference: Tensor, eps: float) -> Tensor:
    """Mean of sqrt(d^2 + eps^2) over all elements, a scalar."""
    return torch.sqrt(difference**2 + eps**2).mean()


def laplacian(image: Tensor, taps: Optional[Tensor] = None) -> Tensor:
    """Image minus its Gaussian pyramid level, taken down and up again (MPRNet's Laplacian).

    Filter, keep every second row and column (times 4, the others zero), filter, subtract; borders are
    replicated. Linear, so that the Laplacian of a difference is the difference of the Laplacians.

    Shape: (B, C, H, W) -> (B, C, H, W). `taps`: those of the Gaussian, (5,); a GPU that has them need not wait.
    """
    taps = torch.tensor(GAUSSIAN_TAPS, dtype=image.dtype, device=image.device) if taps is None else taps.to(image)
    blurred = _gaussian(image, taps)
    kept = torch.zeros_like(blurred)
    kept[:, :, ::2, ::2] = 4 * blurred[:, :, ::2, ::2]
    return image - _gaussian(kept, taps)


def _gaussian(image: Tensor, taps: Tensor) -> Tensor:
    channels = image.shape[1]
    padded = F.pad(image, (2, 2, 2, 2), mode='replicate')
    rows = F.conv2d(padded, taps.view(1, 1, 1, 5).expand(channels, 1, 1, 5), groups=channels)
    return F.conv2d(rows, taps.view(1, 1, 5, 1).expand(channels, 1, 5, 1), groups=channels)


class AIBNetLoss(nn.Module):
    """L = w_c L_c + w_e L_e + w_f L_f (Eq. 7).

    L_c is the Charbonnier distance of the images, the mean of the pixels' roots (the paper prints one root of a norm;
    its references take the mean), L_e that of their Laplacians, L_f the mean absolute
    difference of the real and imaginary parts of their 2-D Fourier transforms (not normalised by the
    number of pixels).

    Args:
        charbonnier_weight: w_c.
        edge_weight: w_e, delta of Eq. (7).
        frequency_weight: w_f, lambda of Eq. (7).
        eps: epsilon of the Charbonnier distances, in units of the image's range [0, 1].

    Raises:
        ValueError: a weight is no number from 0 to 1e6, or eps is not above 0, where the gradient would be lost.
    """

    def __init__(
        self,
        *,
        charbonnier_weight: float = 1.0,
        edge_weight: float = 0.05,
        frequency_weight: float = 0.1,
        eps: float = 1e-3,
    ) -> None:
        super().__init__()
        numbers = {
            'charbonnier_weight': charbonnier_weight,
            'edge_weight': edge_weight,
            'frequency_weight': frequency_weight,
            'eps': eps,
        }
        for name, value in numbers.items():
            number = isinstance(value, (int, float)) and not isinstance(value, bool)
            if not number or not 0 <= value <= LARGEST or (name == 'eps' and not value):
                raise ValueError(f'{name}={value!r}: expected a number {"above 0" if name == "eps" else "from 0 up"}')
        self.charbonnier_weight = charbonnier_weight
        self.edge_weight = edge_weight
        self.frequency_weight = frequency_weight
        self.eps = eps
        self.taps: Tensor
        self.register_buffer('taps', torch.tensor(GAUSSIAN_TAPS, dtype=torch.float64), persistent=False)

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """(B, C, H, W) and (B, C, H, W) in [0, 1] -> the weighted sum, a scalar."""
        return sum(self.terms(pred, target).values(), start=pred.new_zeros(()))

    def terms(self, pred: Tensor, target: Tensor) -> dict[str, Tensor]:
        """The weighted terms by name; a term of weight 0 is left out. Arguments as :meth:`forward`.

        Raises:
            ValueError: the shapes differ.
        """
        if pred.shape != target.shape:
            raise ValueError(f'prediction {tuple(pred.shape)} and target {tuple(target.shape)} differ in shape')
        at_least_single = torch.promote_types(pred.dtype, torch.float32)  # the FFT and eps^2 need more than half
        difference = pred.to(at_least_single) - target.to(at_least_single)
        terms = {}
        if self.charbonnier_weight:
            terms['l_char'] = self.charbonnier_weight * charbonnier(difference, self.eps)
        if self.edge_weight:
            terms['l_edge'] = self.edge_weight * charbonnier(laplacian(difference, self.taps), self.eps)
        if self.frequency_weight:
            spectrum = torch.view_as_real(torch.fft.fft2(difference))
            terms['l_freq'] = self.frequency_weight * spectrum.abs().mean()
        return terms

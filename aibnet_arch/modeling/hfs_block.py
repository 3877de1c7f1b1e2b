"""HFSBlock, the high-frequency feature selection block: Eq. (4) to (6), Figure 2 (c)."""

from typing import Optional

import torch
from torch import Tensor, nn

from .channel_attention import ChannelLogits, as_matrix, head_channels, over_windows
from .channel_mix import mix_channels
from .decoupler import Decoupler
from .layers import is_local
from .strips import Crop, Maps, MapsAndSums, over_strips

MASKED_LOGITS = ('dropped', 'zero')


class MaskedAttention(nn.Module):
    """Weighted sum of the n_m sparse attention maps, sum_i lambda_i M_i (Eq. 5 and 6).

    Mask_i keeps the floor(C i / (i + 1)) largest logits of every row and gives the others no
    weight, so that M_i is sparse (as in DRSformer). The lambda_i are learned and start at 1 / n_m.

    Args:
        head_channels: C, the length of a row.
        num_masks: n_m; 0 is plain dense attention without lambda (Table 4 a).
        masked_logits: 'dropped', or 'zero': the logits that Mask_i does not keep are set to 0 before the softmax,
            which is "the others are set to 0" word for word. They keep the weight of exp(0) then.
    """

    def __init__(self, *, head_channels: int, num_masks: int = 4, masked_logits: str = 'dropped') -> None:
        super().__init__()
        if masked_logits not in MASKED_LOGITS:
            raise ValueError(f'masked_logits={masked_logits!r:.80}: expected one of {", ".join(MASKED_LOGITS)}')
        if num_masks < 0:
            raise ValueError(f'num_masks={num_masks}: expected 0 or more')
        if num_masks and head_channels < 2:
            raise ValueError('a head of one channel has nothing to select from: use fewer heads, or num_masks=0')
        self.head_channels = head_channels
        self.masked_logits = masked_logits
        self.kept = tuple(head_channels * i // (i + 1) for i in range(1, num_masks + 1))
        if num_masks:
            self.fusion = nn.Parameter(torch.full((num_masks,), 1 / num_masks))

    def forward(self, logits: Tensor) -> Tensor:
        """(B, heads, C, C) -> (B, heads, C, C)."""
        if not self.kept:
            return logits.softmax(dim=-1)
        powers, zero, totals, order = self._sorted(logits)
        keeps, weights = self._keeps(logits), (self.fusion / totals)[..., None]
        rows = powers * (weights * keeps).sum(dim=-2)
        if self.masked_logits == 'zero':
            rows = rows + zero * (weights * (1 - keeps)).sum(dim=-2)
        return self._unsorted(rows, order)

    def maps(self, logits: Tensor) -> list[Tensor]:
        """The M_i one by one: (B, heads, C, C) -> n_m tensors of that shape."""
        powers, zero, totals, order = self._sorted(logits)
        keeps = self._keeps(logits)
        rows = keeps * powers[..., None, :]
        if self.masked_logits == 'zero':
            rows = rows + (1 - keeps) * zero[..., None, :]
        return [self._unsorted(part, order) for part in (rows / totals[..., None]).unbind(-2)]

    # All masks keep the first entries of the same sorted row, and their softmax differs in its denominator alone.

    def _sorted(self, logits: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Powers, denominators and places of sorted rows.

        Returns:
            Powers of every row's logits, the largest first, (..., C); that of a logit of 0, (..., 1); the n_m
            denominators (..., n_m); the place of every entry. All powers of a row are divided by the same number.
        """
        # Entries are counted in their order, not compared with a threshold: ties must not let more through.
        values, order = logits.sort(dim=-1, descending=True)
        largest = values[..., :1].detach()
        if self.masked_logits == 'zero':
            largest = largest.clamp_min(0)  # the power of 0 must not grow beyond all bounds either
        powers, zero = (values - largest).exp(), (-largest).exp()
        sums = powers.cumsum(dim=-1)
        totals = [sums[..., kept - 1 : kept] for kept in self.kept]
        if self.masked_logits == 'zero':
            totals = [total + (self.head_channels - kept) * zero for total, kept in zip(totals, self.kept)]
        totals = torch.cat(totals, dim=-1)
        return powers, zero, totals, order

    def _keeps(self, like: Tensor) -> Tensor:
        """(n_m, C): 1 at the entries of a sorted row that mask i keeps."""
        ranks = torch.arange(like.shape[-1], device=like.device)
        return torch.stack([ranks < kept for kept in self.kept]).to(like.dtype)

    @staticmethod
    def _unsorted(rows: Tensor, order: Tensor) -> Tensor:
        return torch.zeros_like(rows).scatter(-1, order, rows)


class HFSBlock(nn.Module):
    """Selects high-frequency features and adds them (Eq. 5).

    Shape: (B, C, H, W) -> (B, C, H, W).

    The sum over the masks is linear in V, so the maps are added first and V is multiplied once.

    Args:
        channels: C, a multiple of `heads` and of `decoupler_groups`.
        heads: attention heads.
        num_masks: n_m of Eq. (5).
        decoupler_groups: groups of channels that share a low-pass filter.
        normalize_logits: see :class:`ChannelLogits`.
        masked_logits: see :class:`MaskedAttention`.

    `window` restricts each attention map to a part of the image, see ``AIBNet.set_window``.
    """

    window: Optional[int] = None

    def __init__(
        self,
        channels: int,
        *,
        heads: int = 1,
        num_masks: int = 4,
        decoupler_groups: int = 8,
        normalize_logits: bool = True,
        masked_logits: str = 'dropped',
    ) -> None:
        super().__init__()
        length = head_channels(channels, heads)
        self.decoupler = Decoupler(channels, groups=decoupler_groups)
        self.expand = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.logits = ChannelLogits(heads=heads, head_channels=length, normalize=normalize_logits)
        self.attention = MaskedAttention(head_channels=length, num_masks=num_masks, masked_logits=masked_logits)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.selected(x)

    def selected(self, x: Tensor) -> Tensor:
        """What the block adds to its input, (B, C, H, W)."""
        if is_local(x, self.window):
            return over_windows(self._attend, self.depthwise(self.expand(self.decoupler(x))), self.window)
        filters = self.decoupler.high_pass(x)

        def gather(crop: Crop, x: Tensor) -> MapsAndSums:
            high = self.decoupler.apply_filters(x, filters)
            value, sums = self._split(crop(self.depthwise(self.expand(high))))
            return (value,), sums

        (value,), sums = over_strips(gather, [x], halo=2, channels=3 * x.shape[1])
        return mix_channels(value, self._matrix(*sums))

    def _attend(self, context: Tensor) -> Tensor:
        """(B, 3C, H, W) -> (B, C, H, W)."""
        value, sums = self._split(context)
        return mix_channels(value, self._matrix(*sums))

    def _split(self, context: Tensor) -> tuple[Tensor, Maps]:
        """(B, 3C, H, W) -> V, (B, C, H, W), and the sums over the positions that the attention maps need."""
        channels = self.expand.in_channels
        pair, value = context.split((2 * channels, channels), dim=1)
        return value, self.logits.sums(pair)

    def _matrix(self, *sums: Tensor) -> Tensor:
        """The attention of all heads, (B, C, C)."""
        return as_matrix(self.attention(self.logits.from_sums(*sums)[:, 0]), self.logits.heads)

"""HFSBlock, the high-frequency feature selection block: Eq. (4) to (6), Figure 2 (c)."""

import math
from typing import Optional

import torch
from einops import rearrange
from torch import Tensor, nn

from .channel_logits import ChannelLogits
from .channel_products import weighted_sum
from .decoupler import Decoupler
from .level_settings import LevelSettings
from .sorted_maps import sum_of_maps

# What becomes of the logits that a mask does not keep.
MASKED_LOGITS = {'dropped': -math.inf, 'zero': 0.0}


class MaskedAttention(nn.Module):
    """Weighted sum of the n_m sparse attention maps, sum_i lambda_i M_i (Eq. 5 and 6).

    Mask_i keeps the floor(C i / (i + 1)) largest logits of every row. The lambda_i are learned.

    Args:
        head_channels: C, the length of a row.
        num_masks: n_m; 0 is plain dense attention without lambda (Table 4 a).
        masked_logits: 'dropped': the other logits get no weight, so that M_i is sparse (as in DRSformer); 'zero': they
            are set to 0 before the softmax, which is Eq. (6) word for word. They keep the weight of exp(0) then.
        lambda_init: what every lambda_i starts at; None: 1 / n_m.

    Raises:
        ValueError: a value that makes no attention.
    """

    def __init__(
        self,
        *,
        head_channels: int,
        num_masks: int = 4,
        masked_logits: str = 'dropped',
        lambda_init: Optional[float] = None,
    ) -> None:
        super().__init__()
        if masked_logits not in MASKED_LOGITS:
            raise ValueError(f'masked_logits={masked_logits!r:.80}: expected one of {", ".join(MASKED_LOGITS)}')
        if num_masks < 0:
            raise ValueError(f'num_masks={num_masks}: expected 0 or more')
        if num_masks and head_channels < 2:
            raise ValueError('a head of one channel has nothing to select from: use fewer heads, or num_masks=0')
        self.masked_to = MASKED_LOGITS[masked_logits]
        self.kept = tuple(head_channels * i // (i + 1) for i in range(1, num_masks + 1))
        if num_masks:
            init = 1 / num_masks if lambda_init is None else float(lambda_init)
            self.fusion = nn.Parameter(torch.full((num_masks,), init))

    @property
    def lambdas(self) -> nn.Parameter:
        """lambda_1 .. lambda_n, (n_m,). In files of weights their name is `fusion`, and stays it."""
        return self.fusion

    def forward(self, logits: Tensor) -> Tensor:
        """sum_i lambda_i M_i: Q T(K) / beta, (B, heads, C, C) -> (B, heads, C, C)."""
        if not self.kept:
            return logits.softmax(dim=-1)
        if torch.jit.is_tracing():  # no ONNX graph can hold a gradient
            return torch.einsum('i, i b h c d -> b h c d', self.lambdas, self.maps(logits))
        # The same without n_m maps.
        return sum_of_maps(logits, self.lambdas, kept=self.kept, masked_to_zero=self.masked_to == 0)

    def maps(self, logits: Tensor) -> Tensor:
        """M_i = SoftMax(Mask_i(Q T(K) / beta)): (B, heads, C, C) -> (n_m, B, heads, C, C)."""
        # Entries are counted in their order, not compared with a threshold: ties must not let more through.
        order = logits.detach().argsort(dim=-1, descending=True)
        places = torch.arange(logits.shape[-1], device=logits.device).expand_as(order)
        rank = torch.zeros_like(order).scatter(-1, order, places)  # 0 for the largest of a row
        keeps = torch.stack([rank < kept for kept in self.kept])  # Mask_i, Eq. (6)
        return torch.where(keeps, logits, self.masked_to).softmax(dim=-1)


class HFSBlock(nn.Module):
    """Selects high-frequency features and adds them (Eq. 5).

    Shape: (B, C, H, W) -> (B, C, H, W). Without gradient: ``lean/hfs_block.py``.

    The sum over the masks is linear in V, so the maps are added first and V is multiplied once.
    """

    def __init__(self, settings: LevelSettings) -> None:
        super().__init__()
        channels = settings.channels
        self.heads = settings.heads
        self.decoupler = Decoupler(channels, groups=settings.decoupler_groups)
        self.expand = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.logits = ChannelLogits(settings)
        self.attention = MaskedAttention(
            head_channels=settings.head_channels,
            num_masks=settings.num_masks,
            masked_logits=settings.masked_logits,
            lambda_init=settings.lambda_init,
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W), Eq. (4) to (6)."""
        height = x.shape[2]
        high = self.decoupler(x)  # X_h = Decoupler(X_N), Eq. (4)
        context = self.depthwise(self.expand(high))
        # Q, K, V = SPLIT(...), each (B, heads, C/heads, H W)
        query, key, value = (
            rearrange(part, 'b (head c) h w -> b head c (h w)', head=self.heads) for part in context.chunk(3, dim=1)
        )
        attention = self.attention(self.logits(query, key))  # sum_i lambda_i M_i
        selected = weighted_sum(attention, value)  # sum_i lambda_i M_i V
        return x + rearrange(selected, 'b head c (h w) -> b (head c) h w', h=height)  # X_sh = X_N + Reshape(...)

"""The hyperparameters of one level of a sub-decoder."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

LEVELS = 4  # of the encoder and of each sub-decoder


@dataclass(frozen=True)
class LevelSettings:
    """What the blocks of a level are built from; AIBNet's constructor describes the values.

    Attributes:
        channels: C of this level.
        heads: attention heads, a divisor of `channels`; the maps are C/heads x C/heads.
        blocks: N, SFDHBlocks.
        alpha_init: constant of Eq. (3).
        alpha_deviation: see :class:`.DifferenceWeight`.
        normalize_logits, logit_scale, logit_scale_init: see :class:`.ChannelLogits`.
        sfem: whether the SFDHBlocks have a spatial module at all (Table 3).
        spatial: which one: a name in :data:`.SPATIAL_MODULES`.
        sfem_weight: shape of W of Eq. (1), see :data:`.SFEM_WEIGHTS`.
        branch_scale: see :class:`.SFDHBlock`.
        hfs_block: whether the level ends with an HFSBlock (Table 3).
        num_masks: n_m of Eq. (5).
        masked_logits, lambda_init: see :class:`.MaskedAttention`.
        decoupler_groups: groups of channels that share a low-pass filter (Eq. 4).
    """

    channels: int
    heads: int = 1
    blocks: int = 8
    alpha_init: float = 0.8
    alpha_deviation: float = 0.1
    normalize_logits: bool = True
    logit_scale: str = 'temperature'
    logit_scale_init: Optional[float] = None
    sfem: bool = True
    spatial: str = 'sfem'
    sfem_weight: str = 'channel'
    branch_scale: bool = False
    hfs_block: bool = True
    num_masks: int = 4
    masked_logits: str = 'dropped'
    lambda_init: Optional[float] = None
    decoupler_groups: int = 8

    def __post_init__(self) -> None:
        if self.heads < 1 or self.channels % self.heads:
            raise ValueError(f'heads={self.heads} does not divide the {self.channels} channels of this level')

    @classmethod
    def of(cls, arguments: Mapping[str, Any], level: int) -> 'LevelSettings':
        """Those of a level, 0 the finest, from AIBNet's arguments."""
        return cls(
            channels=arguments['width'] * 2**level,
            heads=arguments['heads'][level],
            blocks=arguments['blocks_per_level'],
            **{name: arguments[name] for name in cls.__dataclass_fields__ if name in arguments and name != 'heads'},
        )

    @property
    def head_channels(self) -> int:
        """Channels of one head."""
        return self.channels // self.heads

"""What may stand in SFEM's place in Eq. (1)."""

from torch import nn

from .sfem import SFEM

# Name in `network_g.spatial` -> module, built from LevelSettings: (B, C, H, W) -> (B, C, H, W), see docs/extending.md.
SPATIAL_MODULES: dict[str, type[nn.Module]] = {'sfem': SFEM}

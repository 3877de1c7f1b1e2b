"""What WeightsModel reads beside what SRModel reads."""

from typing import Optional

from .aibnet import AIBNetVal
from .kinds import OURS, Keys, Section, needed, optional


class WeightsRun(Section):
    """The top level of WeightsModel."""

    weights: Keys = needed('names, and the files of weights that are tested', whose=OURS)
    network_g: Optional[Keys] = optional('the network of files that do not tell theirs', whose=OURS)


OF_WEIGHTS_MODEL: dict[str, type[Section]] = {'': WeightsRun, 'val': AIBNetVal}

"""Everything that can be known to be wrong before a run starts."""

from .run import preflight
from .weights import check_networks

__all__ = ['check_networks', 'preflight']

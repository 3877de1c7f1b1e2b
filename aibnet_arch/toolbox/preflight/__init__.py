"""Everything that can be known to be wrong before a run starts."""

from .run import preflight

__all__ = ['preflight']

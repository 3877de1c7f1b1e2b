"""The network without gradient, in less time and memory: the same numbers as by the equations, but for rounding.

With a gradient everything is kept for the backward pass anyway. Without it, a block walks over its maps in strips of
rows, so that wide intermediate results stay small and in the cache, and what attention and channel attention do to
an image becomes one C x C matrix. Tests hold each block equal to its ``forward``; who changes an equation changes the
file of the same name here.
"""

from .lean import SCALE, Lean
from .operations import Operations
from .strips import is_captured

__all__ = ['SCALE', 'Lean', 'Operations', 'is_captured']

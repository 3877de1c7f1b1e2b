"""Where a network sees blur: maps of it, and how well they find the blurred regions. Needs no BasicSR."""

from .contributions import Contributions, observe

__all__ = ['Contributions', 'observe']

"""Files of weights: what is in them, and the network that they belong to. Needs no BasicSR."""

from .network_file import read_network

__all__ = ['read_network']

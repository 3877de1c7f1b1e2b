"""Files of weights: what is in them, and the network that they belong to. Needs no BasicSR."""

from .any_network import read_any_network
from .network_file import read_network

__all__ = ['read_any_network', 'read_network']

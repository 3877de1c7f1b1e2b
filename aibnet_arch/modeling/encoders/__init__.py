"""The pretrained encoders: UFPNet by default, NAFNet as the alternative (Section 4.1, Table 5)."""

from .nafnet import NAFNetEncoder
from .ufpnet import UFPNetEncoder

ENCODERS = {'ufpnet': UFPNetEncoder, 'nafnet': NAFNetEncoder}

__all__ = ['ENCODERS', 'NAFNetEncoder', 'UFPNetEncoder']

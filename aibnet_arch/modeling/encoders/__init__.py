"""The pretrained encoders: UFPNet by default, NAFNet as the alternative (Section 4.1, Table 5)."""

from .checkpoint import (
    PUBLISHED,
    CheckpointError,
    compare_keys,
    is_dense,
    load_published,
    read_state_dict,
    refuse_lost_weights,
)
from .nafnet import NAFNetEncoder
from .ufpnet import UFPNetEncoder

ENCODERS = {'ufpnet': UFPNetEncoder, 'nafnet': NAFNetEncoder}

__all__ = [
    'ENCODERS',
    'PUBLISHED',
    'CheckpointError',
    'NAFNetEncoder',
    'UFPNetEncoder',
    'compare_keys',
    'is_dense',
    'load_published',
    'read_state_dict',
    'refuse_lost_weights',
]

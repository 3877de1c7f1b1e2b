"""Distances between the features of networks that were trained on ImageNet: LPIPS and DISTS. Need torchvision."""

from .dists import calculate_dists
from .lpips import calculate_lpips

__all__ = ['calculate_dists', 'calculate_lpips']

"""The network: torch and einops alone, one concept of the paper a file."""

from .aibnet import AIBNet

__all__ = ['AIBNet']

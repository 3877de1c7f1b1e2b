"""`basicsr deblur`: pictures, folders and videos in, restored ones out. Needs no BasicSR."""

from ..errors import PictureError
from .restoring import Deblurrer

__all__ = ['Deblurrer', 'PictureError']

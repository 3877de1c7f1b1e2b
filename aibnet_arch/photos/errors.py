"""What can go wrong with one file while the others go on."""


class PictureError(Exception):
    """A picture or video that cannot be read, restored or written: what is wrong, and what to do."""

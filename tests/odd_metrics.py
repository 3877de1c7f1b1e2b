"""Metrics that go wrong, where other processes can import them."""

import os

from aibnet_arch.errors import UserError


def fails_on_dark(img, img2):
    """As a metric that wants something of the picture."""
    if img.max() < 50:
        raise ValueError('too dark')
    return float(img.mean())


def needs_weights(img, img2):
    """As a metric without its weights."""
    raise UserError('no weights')


def dies(img, img2):
    """As a process that the system ends."""
    os._exit(9)

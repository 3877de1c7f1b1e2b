"""Arguments that several commands take."""

import argparse
from typing import Union

WHOLE = 'whole'


def pixels(text: str) -> Union[int, str]:
    """A number of pixels, or `whole`."""
    if text == WHOLE:
        return text
    try:
        return int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r}: expected a number of pixels, or {WHOLE}') from error

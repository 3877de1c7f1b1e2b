"""The weights in the box: those that come with the package. Wherever a file of weights is named, `box` means them."""

import os
from pathlib import Path
from typing import Union

from ..errors import CheckpointError

BOX = 'box'
FILE = Path(__file__).parent / 'shipped' / 'box.safetensors'


def weights_path(name: Union[str, Path]) -> Path:
    """The file that is named: `box` is the one in the package, a leading ``~`` the home directory.

    A file of one's own that is called box, without a suffix, is named by a longer path, such as its absolute one.

    Raises:
        CheckpointError: the package has come without it.
    """
    if str(name) != BOX:
        return Path(os.path.expanduser(name))
    if not FILE.is_file():
        raise CheckpointError(f'{BOX}: this package has no weights in the box ({FILE} is missing): install it anew')
    return FILE

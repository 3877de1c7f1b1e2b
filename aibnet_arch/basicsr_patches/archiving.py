"""BasicSR moves a former run's folder aside under a name that ends in the second, which two runs may share."""

import os
import time

from basicsr.utils import get_time_str


def wait_for_another_second(folder: str) -> None:
    """Return once no earlier archive of this folder has the name that it would get now: at once, or within a second.

    BasicSR's rename would end in OSError. The caller holds the lock of the folder, so that nobody else archives it.
    """
    while os.path.isdir(folder) and os.path.lexists(f'{folder}_archived_{get_time_str()}'):
        time.sleep(0.02)

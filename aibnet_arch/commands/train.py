"""``basicsr train``: BasicSR's own pipeline, mended and with the plugins registered."""

import os
import sys

from ..distributed import process_group_ended
from ..training.run import TrainingRun


def run_train(arguments: list[str]) -> int:
    """Train; the exit code."""
    sys.argv = ['basicsr train', *arguments]  # where upstream's pipeline looks for its options
    with process_group_ended():
        TrainingRun(os.getcwd()).start()
    return 0

"""``basicsr train`` and ``basicsr test``: BasicSR's own pipelines, mended and with the plugins registered."""

import os
import sys

import basicsr.test

from .distributed import process_group_ended
from .training_run import TrainingRun


def run_train(arguments: list[str]) -> int:
    """Train; the exit code."""
    sys.argv = ['basicsr train', *arguments]  # where upstream's pipeline looks for its options
    with process_group_ended():
        TrainingRun(os.getcwd()).start()
    return 0


def run_test(arguments: list[str]) -> int:
    """Test; the exit code."""
    sys.argv = ['basicsr test', *arguments]
    with process_group_ended():
        basicsr.test.test_pipeline(os.getcwd())
    return 0

"""``basicsr test``: BasicSR's own pipeline, mended and with the plugins registered."""

import os
import sys

import basicsr.test

from ..distributed import process_group_ended


def run_test(arguments: list[str]) -> int:
    """Test; the exit code."""
    sys.argv = ['basicsr test', *arguments]
    with process_group_ended():
        basicsr.test.test_pipeline(os.getcwd())
    return 0

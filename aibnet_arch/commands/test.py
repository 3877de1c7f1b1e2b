"""``basicsr test``: BasicSR's own pipeline, and what stands in for a part of it."""

from ..basicsr_patches.test_pipeline import test


def run_test(arguments: list[str]) -> int:
    """Test; the exit code."""
    test(arguments)
    return 0

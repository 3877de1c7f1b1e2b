"""``basicsr train``: BasicSR's own pipeline, and what stands in for a part of it."""

from ..basicsr_patches.train_pipeline import train


def run_train(arguments: list[str]) -> int:
    """Train; the exit code."""
    train(arguments)
    return 0

"""Programs about the package: benchmarks and trials. Run them as `python -m tools.NAME` from a clone."""

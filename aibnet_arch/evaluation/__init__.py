"""Validation and test: figures, tables and the page to look at."""

"""The README's first command: a small training, and the picture it ends with."""

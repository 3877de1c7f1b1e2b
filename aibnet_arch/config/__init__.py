"""Option files: their schema, reading and checks."""

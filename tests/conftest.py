"""One thread for every test: the networks here are tiny, and threads would only wait for each other."""

import os

os.environ.setdefault('OMP_NUM_THREADS', '1')  # before torch is imported

"""The functions and classes of BasicSR that are relied on, by the promise that hangs on them.

relied_on.csv has each with the fingerprint of those that were tested, two where 1.4.2 and git master differ.
`python -m tools.basicsr_page FOLDER` prints them for the package in a checkout.
"""

import csv
from pathlib import Path

VERSION = '1.4.2'  # both say so
TESTED = "PyPI's 1.4.2 and git master 8d56e3a"
RELIED_ON: dict[str, dict[str, str]] = {}  # promise to function to fingerprints
with Path(__file__).with_suffix('.csv').open(encoding='utf-8', newline='') as _file:
    for _row in csv.DictReader(_file):
        RELIED_ON.setdefault(_row['promise'], {})[_row['function']] = _row['fingerprints']

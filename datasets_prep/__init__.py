"""Preparation of paired blurred / sharp pictures as the LMDB folders that BasicSR reads.

Command lines: ``python -m datasets_prep.gopro``, ``.hide``, ``.realblur``, ``.rsblur``, ``.reloblur``, ``.reds``,
``.bsd``, ``.folder_pair`` (own pairs), ``.video`` (own video), ``.shake`` (own sharp pictures) and ``.verify``; each
explains itself with ``--help``. From Python: `write_pairs`.
"""

from datasets_prep.crops import Crop
from datasets_prep.errors import PrepError
from datasets_prep.lmdb_writer import write_pairs
from datasets_prep.pairs import Pair, safe_key

__all__ = ['Crop', 'Pair', 'PrepError', 'safe_key', 'write_pairs']

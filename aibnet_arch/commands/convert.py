"""``basicsr convert``: weights from .pth to .safetensors and back."""

import argparse
import os
from pathlib import Path

from ..messages import printable
from ..weights.conversion import convert, named


def run_convert(argv: list[str]) -> int:
    """Convert, and say what was done; the exit code."""
    arguments = _parser().parse_args(argv)
    source, target = Path(os.path.expanduser(arguments.source)), Path(os.path.expanduser(arguments.target))
    kept, dropped = convert(source, target, param_key=arguments.param_key)
    print(f'{target}: {printable(", ".join(map(named, kept)))}, read back bit-equal')
    if dropped:
        print(f'dropped: {printable(", ".join(dropped))}')
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='basicsr convert', allow_abbrev=False, description='Weights from one format to the other, by the suffixes.'
    )
    parser.add_argument('source', metavar='IN', help='a .pth or .safetensors file')
    parser.add_argument('target', metavar='OUT', help='the file to make; it must not exist')
    parser.add_argument('--param-key', metavar='K', help='keep this entry alone; the name for a bare state dict')
    return parser

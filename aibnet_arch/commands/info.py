"""``basicsr info``: what a file of weights is."""

import argparse
import json
import os
import sys
from pathlib import Path

from ..errors import CheckpointError
from ..messages import LAYOUT, printable
from ..weights.description import describe, problems
from ..weights.description_text import lines


def run_info(argv: list[str]) -> int:
    """Print what the files are; the exit code: 2 if one could not be read, 1 if one is damaged or not finite."""
    arguments = _parser().parse_args(argv)
    descriptions, code = [], 0
    for name in arguments.files:
        try:
            description = describe(Path(os.path.expanduser(name)))
        except CheckpointError as error:
            print(f'basicsr info: {printable(error, keep=LAYOUT)}', file=sys.stderr)
            code = 2
            continue
        description['problems'] = problems(description)
        descriptions.append(description)
        if description['problems']:
            code = code or 1
        if not arguments.json:
            print('\n'.join(printable(line, keep=LAYOUT) for line in lines(description, whole=arguments.options)))
    if arguments.json:
        print(json.dumps(descriptions, indent=2))
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='basicsr info', allow_abbrev=False, description='What a file of weights or a training state is.'
    )
    parser.add_argument('files', metavar='FILE', nargs='+', help='.pth, .safetensors or .state')
    parser.add_argument('--options', action='store_true', help='print all options of the training (YAML)')
    parser.add_argument('--json', action='store_true', help='print everything as JSON')
    return parser

"""``basicsr info``: what a file of weights is."""

import argparse
import json
import os
import sys
from pathlib import Path

import numpy as np

from ..blurmap.truth import Source
from ..errors import CheckpointError, UserError
from ..messages import LAYOUT, printable
from ..profiling.diagnosed_weights import diagnose_weights, plain
from ..profiling.diagnostics import table_lines
from ..weights.description import describe, problems
from ..weights.description_text import lines


def run_info(argv: list[str]) -> int:
    """Print what the files are; the exit code: 2 if one could not be read, 1 if one is damaged or not finite."""
    arguments = _parser().parse_args(argv)
    picture = _picture(arguments.diagnose.expanduser()) if arguments.diagnose else None
    descriptions, code = [], 0
    for name in arguments.files:
        try:
            description = describe(Path(os.path.expanduser(name)))
            about, levels = diagnose_weights(name, picture) if picture is not None else ('', [])
        except CheckpointError as error:
            print(f'basicsr info: {printable(error, keep=LAYOUT)}', file=sys.stderr)
            code = 2
            continue
        description['problems'] = problems(description)
        if levels:
            description['diagnosis'] = plain(levels)
        descriptions.append(description)
        if description['problems']:
            code = code or 1
        if not arguments.json:
            print('\n'.join(printable(line, keep=LAYOUT) for line in lines(description, whole=arguments.options)))
            if levels:
                print(
                    f'{printable(arguments.diagnose)}, {about}, by sub-decoder.level:', *table_lines(levels), sep='\n'
                )
    if arguments.json:
        print(json.dumps(descriptions, indent=2))
    return code


def _picture(path: Path) -> np.ndarray:
    if not path.is_file():
        raise UserError(f'--diagnose {printable(path)}: there is no such file')
    return Source(path).picture()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='basicsr info', allow_abbrev=False, description='What a file of weights or a training state is.'
    )
    parser.add_argument('files', metavar='FILE', nargs='+', help='.pth, .safetensors or .state')
    parser.add_argument('--options', action='store_true', help='print all options of the training (YAML)')
    parser.add_argument(
        '--diagnose', type=Path, metavar='PICTURE', help='also tell whether the parts of an AIBNet are awake on it'
    )
    parser.add_argument('--json', action='store_true', help='print everything as JSON')
    return parser

"""The demo: make the data, train two stages, and say what each sub-decoder gained.

    python -m aibnet_arch.demo

Everything lands below the current directory: ``datasets/demo``, ``experiments/AIBNet-demo``, ``results/``.
"""

import argparse
import sys
import time
from pathlib import Path

OPTIONS = Path(__file__).parents[2] / 'options' / 'AIBNet_demo.yml'


def main(argv=None) -> int:
    """Run the demo; 0 if all of it went through."""
    parser = argparse.ArgumentParser(prog='python -m aibnet_arch.demo', description=__doc__.split('\n')[0])
    parser.add_argument('-opt', default=str(OPTIONS), help='option file of the training')
    parser.add_argument('--verbose', action='store_true', help='show the whole log, too')
    arguments = parser.parse_args(argv)

    from datasets_prep.cli import run
    from datasets_prep.demo import main as make_data

    from ..commands.main import main as basicsr

    started = time.monotonic()
    code = run(make_data, [])
    prepared = time.monotonic()
    code = code or basicsr(['train', '-opt', arguments.opt, *(['--verbose'] if arguments.verbose else [])])
    if code:
        return code
    trained = time.monotonic()
    from .comparison import compare

    compare(arguments.opt)
    print(
        f'data {prepared - started:.0f} s, training {trained - prepared:.0f} s, '
        f'comparison {time.monotonic() - trained:.0f} s'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())

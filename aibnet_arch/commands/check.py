"""``basicsr check``: all problems of an option file and its data, and nothing else."""

import argparse

from ..config.command_line import check_options
from ..config.option_file import load_option_file
from ..config.overrides import apply_overrides
from .arguments import SEVERAL


def _arguments(argv: list[str]) -> argparse.Namespace:
    """The command line of ``basicsr check``."""
    parser = argparse.ArgumentParser(prog='basicsr check', allow_abbrev=False)
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML)')
    parser.add_argument('--decode', choices=['none', 'sample', 'all'], default='sample', help='pictures to decode')
    parser.add_argument('--force_yml', **SEVERAL, metavar='KEY:KEY=VALUE', help='change options first')
    return parser.parse_args(argv)


def run_check(argv: list[str]) -> int:
    """``basicsr check``: all problems of an option file and its data, and nothing else."""
    arguments = _arguments(argv)
    opt = load_option_file(arguments.opt)
    apply_overrides(opt, arguments.force_yml or ())
    use = check_options(opt, name=arguments.opt, decode=arguments.decode)
    if use:
        print(use)
    print(f'{arguments.opt}: no problem found')
    return 0

"""``basicsr export``: a network as ONNX."""

import argparse
import os
from pathlib import Path

from ..weights.onnx_export import export


def run_export(argv: list[str]) -> int:
    """Export; the exit code."""
    arguments = _parser().parse_args(argv)
    export(
        Path(os.path.expanduser(arguments.source)),
        Path(os.path.expanduser(arguments.target)),
        size=tuple(arguments.size) if arguments.size else None,
        up_to=arguments.up_to,
        opset=arguments.opset,
        param_key=arguments.param_key,
        half=arguments.half,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='basicsr export', allow_abbrev=False, description='An AIBNet as ONNX, for onnxruntime and other programs.'
    )
    parser.add_argument('source', metavar='IN', help='weights of an AIBNet, .pth or .safetensors')
    parser.add_argument('target', metavar='OUT', help='the .onnx file to make; it must not exist')
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument('--size', nargs=2, type=int, metavar=('H', 'W'), help='pictures of this size alone')
    sizes.add_argument('--dynamic', action='store_true', help='pictures of any size (the default)')
    parser.add_argument('--up-to', type=int, metavar='K', help='stop after sub-decoder K')
    parser.add_argument('--half', action='store_true', help='float16 but for softmax, norms and sums over positions')
    versions = range(13, 21)
    parser.add_argument('--opset', type=int, choices=versions, default=17, metavar='N', help='13 to 20 (default 17)')
    parser.add_argument('--param-key', metavar='K', help='entry of the file (params_ema if it has that, else params)')
    return parser

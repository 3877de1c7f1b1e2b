"""``basicsr export``: a network as ONNX."""

import argparse

from ..weights.onnx_export import export
from .arguments import one_file_to_another


def run_export(argv: list[str]) -> int:
    """Export; the exit code."""
    arguments = _parser().parse_args(argv)
    export(
        arguments.source,
        arguments.target,
        size=tuple(arguments.size) if arguments.size else None,
        up_to=arguments.up_to,
        opset=arguments.opset,
        param_key=arguments.param_key,
        half=arguments.half,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = one_file_to_another(
        'export',
        description='An AIBNet as ONNX, for onnxruntime and other programs.',
        source='weights of an AIBNet, .pth or .safetensors',
        target='the .onnx file to make',
        key='entry of the file (params_ema if it has that, else params)',
    )
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument('--size', nargs=2, type=int, metavar=('H', 'W'), help='pictures of this size alone')
    sizes.add_argument('--dynamic', action='store_true', help='pictures of any size (the default)')
    parser.add_argument('--up-to', type=int, metavar='K', help='stop after sub-decoder K')
    parser.add_argument('--half', action='store_true', help='float16 but for softmax, norms and sums over positions')
    versions = range(13, 21)
    parser.add_argument('--opset', type=int, choices=versions, default=17, metavar='N', help='13 to 20 (default 17)')
    return parser

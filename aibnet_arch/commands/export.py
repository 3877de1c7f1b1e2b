"""``basicsr export``: a network as ONNX, compared with torch before the file is written."""

import argparse
import importlib.util
import json
from pathlib import Path

from ..errors import RunError, UserError
from ..files import check_new, sha256_of, write_whole
from ..modeling import AIBNet
from ..weights.network_file import read_network
from ..weights.param_key import default_param_key

MOST = 1e-4  # difference from torch, where pixels are in [0, 1]
SIZES = ((64, 64), (37, 91), (16, 112))  # at which a graph for all sizes is compared: one is no multiple of 16


def run_export(argv: list[str]) -> int:
    """Export, and say how far onnxruntime is from torch; the exit code."""
    arguments = _parser().parse_args(argv)
    source, target = Path(arguments.source).expanduser(), Path(arguments.target).expanduser()
    size = tuple(arguments.size) if arguments.size else None
    if size and min(size) < 1:
        raise UserError(f'--size {size[0]} {size[1]}: expected 1 or more')
    check_new(target, source=source, suffixes=('.onnx',))
    missing = [name for name in ('onnx', 'onnxruntime') if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'basicsr export needs {" and ".join(missing)}: pip install {" ".join(missing)}')
    from ..weights.onnx_graph import differences, to_onnx

    network = read_network(source, param_key=arguments.param_key or default_param_key(source))
    up_to = network.active_sub_decoders if arguments.up_to is None else arguments.up_to
    if not 1 <= up_to <= network.active_sub_decoders:
        raise UserError(f'--up-to {up_to}: {source} has trained sub-decoders 1 to {network.active_sub_decoders}')
    network.active_sub_decoders = up_to
    if network.arguments['code_noise']:
        network.encoder.code_noise = False
        print("without UFPNet's random noise (code_noise)")
    metadata = _metadata(network, sha256_of(source))
    try:
        graph = to_onnx(network, size=size, opset=arguments.opset, metadata=metadata)
    except ValueError as error:
        raise UserError(f'--opset {arguments.opset}: {error}') from error
    found = differences(graph, network, [size] if size else SIZES)
    for (height, width), difference in found.items():
        print(f'{height}x{width}: at most {difference:.1e} from torch')
    if not all(difference <= MOST for difference in found.values()):
        raise RunError(f'{target} is not written: onnxruntime differs from torch by more than {MOST:.0e}')
    write_whole(target, lambda file: file.write(graph))
    shape = f'1x3x{size[0]}x{size[1]} only' if size else '1x3xHxW, H and W from 1 up'
    print(f'{target} ({len(graph) / 1e6:,.1f} MB): {shape}, {up_to} sub-decoder{"s" if up_to > 1 else ""}')
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
    versions = range(13, 21)
    parser.add_argument('--opset', type=int, choices=versions, default=17, metavar='N', help='13 to 20 (default 17)')
    parser.add_argument('--param-key', metavar='K', help='entry of the file (params_ema if it has that, else params)')
    return parser


def _metadata(network: AIBNet, sha256: str) -> dict[str, str]:
    """What the file says of itself."""
    return {
        'architecture': 'AIBNet',
        'arguments': json.dumps(network.arguments),
        'sub_decoders': str(network.active_sub_decoders),
        'image': 'float32, RGB in [0, 1]; the result is not clipped',
        'weights_sha256': sha256,
    }

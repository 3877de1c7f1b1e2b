"""A network as an ONNX file, compared with torch before the file is written."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from ..errors import RunError, UserError
from ..files import check_new, sha256_of, write_whole
from ..modeling import AIBNet
from .box import weights_path
from .network_file import read_network

MOST = 1e-4  # difference from torch, where pixels are in [0, 1]
SIZES = ((64, 64), (37, 91), (16, 112))  # at which a graph for all sizes is compared: one is no multiple of 16


def export(
    source: Path,
    target: Path,
    *,
    size: Optional[tuple[int, int]],
    up_to: Optional[int],
    opset: int,
    param_key: Optional[str],
    half: bool = False,
) -> None:
    """Export, and print how far onnxruntime is from torch.

    Args:
        source: weights of an AIBNet, or `box`.
        target: the .onnx file; it must not exist.
        size: H and W of the pictures that it takes; None: any.
        up_to: stop after this sub-decoder.
        half: float16 where it is enough (:mod:`.onnx_half`).

    Raises:
        UserError: the input is refused; nothing has been written then.
        RunError: onnxruntime computes something else, or the file cannot be written.
    """
    if size and min(size) < 1:
        raise UserError(f'--size {size[0]} {size[1]}: expected 1 or more')
    source = weights_path(source)
    check_new(target, source=source, suffixes=('.onnx',))
    missing = [name for name in ('onnx', 'onnxruntime') if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f'basicsr export needs {" and ".join(missing)}: pip install {" ".join(missing)}')
    from .onnx_graph import differences, to_onnx

    network = read_network(source, param_key=param_key)
    up_to = network.active_sub_decoders if up_to is None else up_to
    if not 1 <= up_to <= network.active_sub_decoders:
        raise UserError(f'--up-to {up_to}: {source} has trained sub-decoders 1 to {network.active_sub_decoders}')
    network.active_sub_decoders = up_to
    if network.arguments['code_noise']:
        encoder: Any = network.encoder  # UFPNet's
        encoder.code_noise = False
        print("without UFPNet's random noise (code_noise)")
    metadata = _metadata(network, sha256_of(source))
    try:
        graph = to_onnx(network, size=size, opset=opset, metadata=metadata)
    except ValueError as error:
        raise UserError(f'--opset {opset}: {error}') from error
    found = differences(graph, network, [size] if size else SIZES)
    for (height, width), difference in found.items():
        print(f'{height}x{width}: at most {difference:.1e} from torch')
    if not all(difference <= MOST for difference in found.values()):
        raise RunError(f'{target} is not written: onnxruntime differs from torch by more than {MOST:.0e}')
    if half:
        graph = _halved(graph, target, [size] if size else SIZES)
    write_whole(target, lambda file: file.write(graph), overwrite=False)
    shape = f'1x3x{size[0]}x{size[1]} only' if size else '1x3xHxW, H and W from 1 up'
    print(f'{target} ({len(graph) / 1e6:,.1f} MB): {shape}, {up_to} sub-decoder{"s" if up_to > 1 else ""}')


def _halved(graph: bytes, target: Path, sizes: Sequence[tuple[int, int]]) -> bytes:
    from .onnx_half import LEAST, agreement, to_half

    half = to_half(graph)
    found = agreement(half, graph, sizes)
    for (height, width), decibels in found.items():
        print(f'{height}x{width}: float16 is {decibels:.1f} dB from float32')
    if not all(decibels >= LEAST for decibels in found.values()):
        raise RunError(f'{target} is not written: in float16 it is less than {LEAST:.0f} dB from float32')
    return half


def _metadata(network: AIBNet, sha256: str) -> dict[str, str]:
    """What the file says of itself."""
    return {
        'architecture': 'AIBNet',
        'arguments': json.dumps(network.arguments),
        'sub_decoders': str(network.active_sub_decoders),
        'image': 'float32, RGB in [0, 1]; the result is not clipped',
        'weights_sha256': sha256,
    }

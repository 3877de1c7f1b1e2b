"""The network as an ONNX graph, and what onnxruntime makes of it."""

import inspect
import io
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Optional

import numpy as np
import torch

from ..modeling import AIBNet

INPUT, OUTPUT = 'image', 'restored'
TRACED_SIZE = (32, 48)  # of a graph for all sizes; any would do


def to_onnx(
    network: AIBNet, *, size: Optional[tuple[int, int]] = None, opset: int = 17, metadata: Mapping[str, str]
) -> bytes:
    """Export a network in evaluation mode, with padding to multiples of 16 and cropping in the graph.

    The graph takes `image`, (1, 3, H, W), float32, RGB in [0, 1], and gives `restored` of the same shape. As many
    sub-decoders are in it as run by default.

    Args:
        network: on the CPU, without `window` and without `code_noise`.
        size: H and W; None: a graph for all sizes, from 1x1 up.
        opset: ONNX's version; from 17 on LayerNorm is one operation.

    Raises:
        ValueError: torch's exporter does not know the opset.
    """
    import onnx

    axes = {2: 'height', 3: 'width'}
    options: dict[str, Any] = {} if size else {'dynamic_axes': {INPUT: axes, OUTPUT: axes}}
    options.update(input_names=[INPUT], output_names=[OUTPUT], opset_version=opset)
    if 'dynamo' in inspect.signature(torch.onnx.export).parameters:
        # All versions of torch have the exporter that traces; the other one takes ten times as long for this network.
        options['dynamo'] = False
    file: Any = io.BytesIO()  # torch takes one, its annotations do not say so
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', category=DeprecationWarning)
        warnings.filterwarnings('ignore', message='Constant folding')
        torch.onnx.export(network, (torch.zeros(1, 3, *(size or TRACED_SIZE)),), file, **options)
    model = onnx.load_from_string(file.getvalue())
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    return model.SerializeToString()


def differences(graph: bytes, network: AIBNet, sizes: Iterable[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """Largest absolute difference between onnxruntime and torch, on the CPU, for a random image of each size."""
    import onnxruntime

    session = onnxruntime.InferenceSession(graph, providers=['CPUExecutionProvider'])
    random = torch.Generator().manual_seed(0)
    found = {}
    for size in sizes:
        image = torch.rand(1, 3, *size, generator=random)
        (restored,) = session.run([OUTPUT], {INPUT: image.numpy()})
        with torch.no_grad():
            expected = network(image).numpy()
        found[size] = float(np.abs(restored - expected).max()) if restored.shape == expected.shape else float('inf')
    return found

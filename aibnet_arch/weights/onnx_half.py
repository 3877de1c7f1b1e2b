"""An ONNX graph in half precision, but for what needs more, compared with its float32 original by PSNR."""

from collections.abc import Iterable

import numpy as np

from .onnx_graph import INPUT, OUTPUT

LEAST = 60.0  # dB, of what is restored to what float32 restores: rounding to 8 bits leaves 59
# What stays float32: softmax; norms and what they are made of; sums over all positions (products of attention and
# their norms, channel attention, pooled statistics), whose size grows with the picture beyond what fp16 holds.
FLOAT32 = (
    *('Softmax', 'LayerNormalization', 'BatchNormalization', 'InstanceNormalization'),
    *('Div', 'Sqrt', 'Reciprocal', 'Pow', 'Exp', 'Log', 'Clip', 'Max', 'Min', 'Sub'),
    *('MatMul', 'Gemm', 'Einsum', 'GlobalAveragePool', 'AveragePool', 'TopK', 'Range', 'CumSum'),
    *('ReduceMean', 'ReduceSum', 'ReduceL2', 'ReduceSumSquare', 'ReduceMax', 'Where'),
)


def to_half(graph: bytes) -> bytes:
    """The graph with float16 in its convolutions and what stands between them; it takes and gives float32 as before."""
    import onnx
    from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16
    from onnxruntime.transformers.onnx_model import OnnxModel

    model = onnx.load_from_string(graph)
    half = convert_float_to_float16(model, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *FLOAT32])
    OnnxModel(half).topological_sort()  # the casts were added at the end
    onnx.checker.check_model(half)
    return half.SerializeToString()


def agreement(half: bytes, graph: bytes, sizes: Iterable[tuple[int, int]]) -> dict[tuple[int, int], float]:
    """PSNR in dB between what the two restore, on the CPU, for a random picture of each size; NaN if one is none."""
    import onnxruntime

    sessions = [onnxruntime.InferenceSession(each, providers=['CPUExecutionProvider']) for each in (half, graph)]
    random = np.random.default_rng(0)
    found = {}
    for height, width in sizes:
        image = random.random((1, 3, height, width), np.float32)
        first, second = (session.run([OUTPUT], {INPUT: image})[0].astype(np.float64) for session in sessions)
        error = np.mean((first - second) ** 2)
        found[height, width] = float(-10 * np.log10(error)) if error else float('inf')
    return found

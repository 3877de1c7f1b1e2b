"""ONNX in half precision: what stays float32, how near it is, and that it is refused where it is not."""

import pytest

from aibnet_arch.commands.main import main
from aibnet_arch.weights import onnx_half
from aibnet_arch.weights.onnx_graph import to_onnx
from aibnet_arch.weights.onnx_half import LEAST, agreement, to_half
from tests.test_signature import noisy
from tests.weight_files import saved

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
FLOAT16 = 10  # onnx.TensorProto's number


@pytest.fixture(scope='module')
def graphs():
    """float32 and float16 of one network."""
    graph = to_onnx(noisy(), metadata={'made': 'here'})
    return graph, to_half(graph)


def test_it_is_near_float32_at_all_sizes(graphs):
    graph, half = graphs
    found = agreement(half, graph, [(37, 91), (1, 1), (300, 200)])
    assert min(found.values()) >= LEAST
    assert max(found.values()) < 120  # it is not the same graph


def test_softmax_norms_and_sums_see_float32(graphs):
    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graphs[1]))
    inner = model.graph
    types = {weight.name: weight.data_type for weight in inner.initializer}
    types.update({value.name: value.type.tensor_type.elem_type for value in inner.value_info})
    seen = {}
    for node in inner.node:
        seen.setdefault(node.op_type, set()).update(types.get(name) for name in (*node.input, *node.output))
    for kind in ('Softmax', 'LayerNormalization', 'ReduceSum', 'ReduceMean', 'MatMul'):
        assert kind in seen
        assert FLOAT16 not in seen[kind], kind
    assert FLOAT16 in seen['Conv']
    assert {value.type.tensor_type.elem_type for value in (*inner.input, *inner.output)} == {1}
    assert {entry.key for entry in model.metadata_props} == {'made'}


def test_the_command_checks_and_tells(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / 'net.pth')
    assert main(['export', 'net.pth', 'net.onnx', '--size', '16', '32', '--up-to', '1', '--half']) == 0
    assert '16x32: float16 is ' in capsys.readouterr().out
    for worst in (LEAST - 0.1, float('nan')):
        monkeypatch.setattr(onnx_half, 'agreement', lambda *given, worst=worst: {(16, 32): worst})
        assert main(['export', 'net.pth', 'bad.onnx', '--size', '16', '32', '--up-to', '1', '--half']) == 1
        assert 'bad.onnx is not written: in float16 it is less than 60 dB' in capsys.readouterr().err
    assert not (tmp_path / 'bad.onnx').exists()

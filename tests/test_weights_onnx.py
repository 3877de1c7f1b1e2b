"""The network as an ONNX graph, against torch."""

import warnings

import pytest
import torch
from torch.jit import TracerWarning

from aibnet_arch.commands.main import main
from aibnet_arch.modeling.lean import flow_prior
from aibnet_arch.weights import onnx_graph
from aibnet_arch.weights.onnx_graph import INPUT, OUTPUT, differences, to_onnx
from aibnet_arch.weights.weight_file import WeightFile
from tests.test_signature import noisy
from tests.weight_files import saved

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')

SIZES = [(48, 64), (37, 91), (1, 1), (5, 3), (16, 16)]


def exported(net, **options):
    """The graph; nothing in the network may make a constant of a size while it is traced."""
    with warnings.catch_warnings():
        warnings.simplefilter('error', TracerWarning)
        return to_onnx(net, metadata={'made': 'here'}, **options)


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'encoder': 'ufpnet', 'encoder_blocks': (1, 1, 1, 2), 'heads': (1, 2, 1, 2)},
        {'heads': (2, 1, 1, 1), 'normalize_logits': False, 'num_masks': 0},
        {'sfem': False, 'hfs_block': False},
        {'masked_logits': 'zero', 'num_sub_decoders': 2, 'fusion': 'sam'},
        {'num_sub_decoders': 2, 'fusion': 'fuse'},
    ],
)
def test_one_graph_serves_all_sizes(changes, monkeypatch):
    monkeypatch.setattr(flow_prior, 'PIXELS_AT_ONCE', 100)  # a graph must not keep how many parts that made
    net = noisy(**changes)
    found = differences(exported(net), net, SIZES)
    assert max(found.values()) <= 1e-4, found
    assert (net(torch.rand(1, 3, 16, 16)) - 0.5).abs().max() > 0.1  # there is something to compare


def test_a_graph_of_one_size_takes_no_other():
    net = noisy()
    graph = exported(net, size=(37, 50))
    assert differences(graph, net, [(37, 50)])[37, 50] <= 1e-4
    with pytest.raises(Exception, match='nvalid dimensions'):
        differences(graph, net, [(48, 64)])
    kinds = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    blocks = 5 + 4  # NAF blocks and SFDHBlocks, two norms each
    assert kinds.count('LayerNormalization') == 2 * blocks


def test_the_command_checks_and_tells(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / 'net.pth')
    assert main(['export', 'net.pth', 'net.onnx', '--up-to', '1']) == 0
    told = capsys.readouterr().out
    assert told.count('from torch') == 3
    assert '1x3xHxW, H and W from 1 up, 1 sub-decoder\n' in told
    model = onnx.load('net.onnx')
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert (about['architecture'], about['sub_decoders']) == ('AIBNet', '1')
    assert not any('sub_decoders.1' in weight.name for weight in model.graph.initializer)
    assert ([value.name for value in model.graph.input], [value.name for value in model.graph.output]) == (
        [INPUT],
        [OUTPUT],
    )

    assert main(['export', 'net.pth', 'net.onnx']) == 2
    assert 'exists already' in capsys.readouterr().err
    assert main(['export', 'net.pth', 'other.onnx', '--up-to', '3']) == 2
    assert 'trained sub-decoders 1 to 2' in capsys.readouterr().err
    assert main(['export', 'net.pth', 'other.onnx', '--size', '0', '4']) == 2
    assert 'expected 1 or more' in capsys.readouterr().err


def test_the_averaged_weights_are_taken_if_there_are_some(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / 'net.pth', keys=('params', 'params_ema'))
    taken = []
    real = WeightFile._taken
    monkeypatch.setattr(WeightFile, '_taken', lambda file, key: taken.append(key) or real(file, key))
    assert main(['export', 'net.pth', 'net.onnx', '--size', '16', '16']) == 0
    assert main(['export', 'net.pth', 'params.onnx', '--size', '16', '16', '--param-key', 'params']) == 0
    assert taken == ['params_ema', 'params']


def test_a_graph_that_differs_is_not_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / 'net.pth', encoder='ufpnet', code_noise=True)
    noise = []
    monkeypatch.setattr(onnx_graph, 'to_onnx', lambda net, **options: noise.append(net.encoder.code_noise) or b'')
    for difference in (2e-4, float('nan')):
        monkeypatch.setattr(onnx_graph, 'differences', lambda *given, worst=difference: {(16, 16): 0.0, (1, 1): worst})
        assert main(['export', 'net.pth', 'net.onnx']) == 1
        streams = capsys.readouterr()
        assert 'net.onnx is not written: onnxruntime differs from torch by more than 1e-04' in streams.err
        assert 'code_noise' in streams.out
    assert noise == [False, False]
    assert not (tmp_path / 'net.onnx').exists()


def test_missing_packages_are_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert main(['export', 'net.pth', 'net.onnx']) == 2
    assert 'pip install onnx onnxruntime' in capsys.readouterr().err

"""`basicsr profile`: what it counts is right, what it measures is plausible."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main, prepare
from aibnet_arch.profiling import measuring
from aibnet_arch.profiling.measuring import count_macs, matrix_rate, measure, parts_of
from aibnet_arch.profiling.operations import Operation, count_operations, roofline
from aibnet_arch.registries.other_networks import OTHER_NETWORKS
from tests.training import NETWORK

REPOSITORY = Path(__file__).parent.parent


class Simple(torch.nn.Module):
    """One convolution, and a matrix product outside of it."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.rest = torch.nn.ModuleList([torch.nn.Conv2d(8, 3, 1)])
        self.rest.requires_grad_(False)

    def forward(self, x):
        x = self.rest[0](self.conv(x))
        return x.flatten(2) @ x.flatten(2).mT


def test_the_parts_are_counted():
    network, image = Simple(), torch.rand(2, 3, 10, 20)
    conv, one, rest, total = measure(
        lambda: network(image), network, device=torch.device('cpu'), repeats=2, size=image.shape
    )
    assert list(parts_of(network)) == [conv.name, one.name] == ['conv', 'rest.0']
    assert conv.conv_macs == conv.macs == 2 * 200 * 3 * 8 * 9
    assert one.conv_macs == 2 * 200 * 8 * 3
    assert rest.macs == 2 * 3 * 3 * 200
    assert rest.conv_macs == 0
    assert total.macs == conv.macs + one.macs + rest.macs
    assert (total.parameters, total.trainable) == (3 * 8 * 9 + 8 + 27, 3 * 8 * 9 + 8)
    assert 0 < conv.seconds < total.seconds


def test_the_floor_is_of_the_precision_of_convolutions(monkeypatch):
    """On a GPU they run in TF32 by default, products of float32 do not. A made-up GPU tells what it would be asked."""
    asked = []
    monkeypatch.setattr(
        measuring, 'now', lambda device: asked.append(torch.get_float32_matmul_precision()) or len(asked)
    )
    rand = torch.rand
    monkeypatch.setattr(torch, 'rand', lambda *size, device: rand(*size))
    matrix_rate(torch.device('cuda'), size=8)
    assert set(asked) == {'high'}
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    asked.clear()
    matrix_rate(torch.device('cuda'), size=8)
    assert set(asked) == {'highest'}


def test_operations_are_counted_with_what_they_move():
    """Those of a convolution, a sum in place, a view, and a product outside of the parts."""

    class Known(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 8, 1, bias=False)

        def forward(self, x):
            x = self.conv(x).relu_()
            return x.flatten(2) @ x.flatten(2).mT

    network = Known()
    found = count_operations(network, parts_of(network), (1, 3, 10, 20))
    maps, weights = 4 * 200 * 8, 4 * 24
    assert found['conv'] == [Operation(macs=200 * 24, bytes_moved=4 * 200 * 3 + weights + maps)]
    relu, product = (operation for operation in found['rest'] if operation.bytes_moved)
    assert relu == Operation(macs=0, bytes_moved=2 * maps)
    assert product == Operation(macs=200 * 64, bytes_moved=2 * maps + 4 * 64)
    assert len(found['total']) == len(found['conv']) + len(found['rest'])


def test_a_roofline_is_the_sum_of_what_limits_each():
    operations = [
        Operation(macs=100, bytes_moved=1),
        Operation(macs=0, bytes_moved=30),
        Operation(macs=1, bytes_moved=10),
    ]
    found = roofline(operations, rate=10, bandwidth=10)
    assert (found.seconds, found.bytes_moved) == (10 + 3 + 1, 41)
    assert found.limit == 'compute 71 %'
    assert roofline(operations, rate=1e9, bandwidth=10).limit == 'memory 100 %'


def test_the_lean_network_moves_and_computes_what_is_counted():
    """The same MACs as torch's own counter finds."""
    network = AIBNet(**{key: value for key, value in NETWORK.items() if key != 'type'}).eval()
    parts, size = parts_of(network), (1, 3, 32, 48)
    macs = count_macs(network, list(parts), size)
    for name, operations in count_operations(network, parts, size).items():
        if name != 'rest':
            assert sum(operation.macs for operation in operations) == macs[name][1]


PEAK = """
import torch
from aibnet_arch.profiling.peak_memory import peak_memory
with peak_memory(torch.device('cpu')) as before:
    pass
with peak_memory(torch.device('cpu')) as within:
    torch.ones(50_000_000)  # 200 MB
print(*before, *within)
"""


def test_the_peak_of_memory_is_of_what_ran_within():
    """In a process of its own: here, what earlier tests left may be freed in between."""
    child = subprocess.run([sys.executable, '-c', PEAK], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    before, within = child.stdout.split()
    if before == 'None':
        pytest.skip('this system does not tell')
    assert 150e6 < int(within) - int(before) < 400e6


def profile(tmp_path, *flags, network=NETWORK):
    (tmp_path / 'opt.yml').write_text(yaml.safe_dump({'network_g': network, 'num_gpu': 0}))
    report = tmp_path / 'report.json'
    code = main(['profile', '-opt', str(tmp_path / 'opt.yml'), '--repeats', '1', '--json', str(report), *flags])
    return code, json.loads(report.read_text()) if code == 0 else None


def test_a_network_and_its_training_stages(tmp_path, capsys):
    picture = tmp_path / 'roofline.png'
    code, report = profile(tmp_path, '--size', '48', '64', '--batch', '2', '--train', '--picture', str(picture))
    assert code == 0
    (result,) = report['networks']
    assert [part['name'] for part in result['parts']] == [
        'encoder',
        'sub_decoders.0',
        'sub_decoders.1',
        'rest',
        'total',
    ]
    first, second = result['parts'][1:3]
    assert first['macs'] == second['macs'] > first['conv_macs'] > 0
    stages = {cost['stage']: cost for cost in report['training']}
    assert list(stages) == [1, 2, 'direct']
    # The encoder trains in the first stage of this network.
    assert stages[2]['trainable'] < stages[1]['trainable'] < stages['direct']['trainable']
    printed = capsys.readouterr().out
    assert 'times the floor' in printed
    assert cv2.imread(str(picture)).shape[2] == 3
    assert result['parts'][-1]['floor_seconds'] == result['floor_seconds'] < result['parts'][-1]['roofline_seconds']
    assert result['parts'][-1]['limit'].split()[0] in ('compute', 'memory')
    assert 0 < stages[2]['floor_seconds'] < stages[2]['seconds']
    assert 'peak / direct' in printed


def test_any_registered_network(tmp_path):
    prepare()
    code, report = profile(
        tmp_path, '--size', '24', '24', network={'type': 'MSRResNet', 'num_feat': 8, 'num_block': 2, 'upscale': 2}
    )
    assert code == 0
    assert report['networks'][0]['parts'][-1]['macs'] > 0


@pytest.mark.parametrize(
    ('network', 'flags', 'told'),
    [
        ({'type': 'AIBNett'}, (), "did you mean 'AIBNet'?"),
        ({'type': 'AIBNet', 'widht': 8}, (), "did you mean 'width'?"),
        ({'type': 'MSRResNet'}, ('--train',), 'compares the stages of AIBNet'),
        ({'type': 'AIBNet'}, ('--picture', 'nowhere/roofline.png'), 'in a folder that exists'),
    ],
)
def test_what_cannot_be_profiled_is_told(network, flags, told, tmp_path, capsys):
    assert profile(tmp_path, *flags, network=network)[0] == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize('name', OTHER_NETWORKS)
def test_others_are_beside_it_or_their_package_is_named(name, tmp_path, capsys):
    pytest.importorskip('spandrel' if name == 'NAFNet' else 'spandrel_extra_arches')
    network = OTHER_NETWORKS[name].build()
    assert sum(p.numel() for p in network.parameters()) > 10e6

"""Settings of inference and of training: they change what a run costs, and its numbers by rounding alone."""

import re

import pytest
import torch

from aibnet_arch import AIBNet
from aibnet_arch.inference.restorer import InferenceSettings, Restorer
from aibnet_arch.training.settings import TrainingSettings
from tests.training import NETWORK, assert_equal_weights, log_of, make_dataset, options, run, weights


@pytest.fixture(scope='module')
def network():
    torch.manual_seed(0)
    net = AIBNet(**{key: value for key, value in NETWORK.items() if key != 'type'})
    for sub_decoder in net.sub_decoders:  # a fresh one would give the image back
        torch.nn.init.normal_(sub_decoder.to_residual.weight, std=0.02)
    return net


@pytest.fixture(scope='module')
def image():
    return torch.rand(1, 3, 40, 56)


@pytest.mark.parametrize(
    ('settings', 'difference'),
    [({}, 0), ({'channels_last': True}, 1e-5), ({'autocast': 'bf16'}, 2e-2), ({'window': 64}, 0)],
)
def test_settings_leave_the_result_and_the_network_as_they_were(settings, difference, network, image):
    network.train()
    with torch.no_grad():
        network.eval()
        expected = network(image)
        network.train()
    restored = Restorer(network, InferenceSettings(**settings))(image)
    assert network.training
    assert restored.dtype == torch.float32
    assert (restored - expected).abs().max() <= difference
    assert not torch.equal(restored, image)


def test_stopping_after_a_sub_decoder(network, image):
    with torch.no_grad():
        first, second = network.eval().images(image)
    assert torch.equal(Restorer(network, InferenceSettings(up_to=1))(image), first)
    assert torch.equal(Restorer(network, InferenceSettings())(image), second)


def test_other_networks_have_no_windows_but_the_rest(image):
    restorer = Restorer(torch.nn.Conv2d(3, 3, 1), InferenceSettings(tiles={'size': 32, 'overlap': 8}, autocast='bf16'))
    assert restorer(image).shape == image.shape


def test_compiling_runs_the_network_through_torch(network, image, monkeypatch):
    compiled = []
    monkeypatch.setattr(torch, 'compile', lambda net: compiled.append(net) or net)
    Restorer(network, InferenceSettings(compile=True))(image)
    assert compiled == [network]


def test_a_compiled_network_sees_padded_pictures(network, monkeypatch):
    """Otherwise torch makes a graph anew for each remainder of a size, eight times, and gives up then."""
    seen = []
    monkeypatch.setattr(torch, 'compile', lambda net: lambda image: seen.append(tuple(image.shape[2:])) or net(image))
    for size in ((33, 34), (16, 32)):
        picture = torch.rand(1, 3, *size)
        restored = Restorer(network, InferenceSettings(compile=True))(picture)
        assert torch.equal(restored, Restorer(network, InferenceSettings())(picture))
    assert seen == [(48, 48), (16, 32)]


def test_products_run_in_the_precision_that_is_asked_for(network, image, monkeypatch):
    seen = []
    monkeypatch.setattr(Restorer, '_restore', lambda self, image: seen.append(torch.get_float32_matmul_precision()))
    for wanted in ('high', None):
        Restorer(network, InferenceSettings(float32_matmul_precision=wanted))(image)
    assert seen == ['high', 'highest']
    assert torch.get_float32_matmul_precision() == 'highest'


@pytest.mark.parametrize(
    ('settings', 'told'),
    [
        ({'float32_matmul_precision': 'hihg'}, "val.float32_matmul_precision: 'hihg': expected one of highest, high"),
        ({'window': 10}, 'val.window'),
        ({'up_to': 0}, 'val.up_to'),
        ({'autocast': 'fp8'}, 'val.autocast'),
        ({'compile': 'yes'}, 'val.compile'),
        ({'tiles': {'size': 10}}, 'val.tiles'),
        ({'tiles': {'size': 10, 'overlap': 5}}, 'val.tiles'),
    ],
)
def test_settings_that_make_no_sense_are_told(settings, told):
    (problem,) = InferenceSettings(**settings).problems(num_sub_decoders=2)
    assert problem.startswith(told)


@pytest.mark.skipif(torch.cuda.is_available(), reason='fp16 is fine here')
def test_fp16_needs_a_gpu():
    assert 'bf16 works on CPUs' in next(TrainingSettings(amp='fp16').problems())


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('settings')
    make_dataset(root)
    return root


def trained(root, monkeypatch, name, **changes):
    opt = options(**changes)
    opt['name'] = name
    opt['val']['val_freq'] = 9
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    return [float(loss) for loss in re.findall(r'l_total: (\S+)', log_of(root, name))]


def test_training_settings_change_the_losses_by_rounding_alone(root, monkeypatch):
    plain = trained(root, monkeypatch, 'plain')
    for name, changes, tolerance in (
        ('checkpointing', {'checkpointing': True}, 1e-4),
        ('channels_last', {'channels_last': True}, 1e-3),
        ('amp', {'amp': 'bf16'}, 0.05),
        ('frozen', {'frozen_precision': 'bf16'}, 0.05),
        ('products', {'float32_matmul_precision': 'high'}, 1e-6),  # for GPUs alone
    ):
        assert trained(root, monkeypatch, name, **changes) == pytest.approx(plain, rel=tolerance), name
    # Nothing is frozen in the first stage, so that precision changes nothing there.
    assert_equal_weights(weights(root, 5, name='plain'), weights(root, 5, name='frozen'))
    assert any(
        not torch.equal(one, other)
        for one, other in zip(weights(root, 9, name='plain').values(), weights(root, 9, name='frozen').values())
    )
    for name in ('amp', 'frozen'):
        assert all(value.dtype != torch.bfloat16 for value in weights(root, 'latest', name=name).values())


def test_fp16_skips_through_its_scaler_and_resumes_with_its_scale(monkeypatch):
    """On the CPU with a scaler by hand: what a GPU run would do."""
    if not hasattr(torch.amp, 'GradScaler'):
        pytest.skip('no scaler for the CPU in this version of torch')
    scaler = torch.amp.GradScaler('cpu', init_scale=4.0, growth_interval=1)
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    scaler.scale(weight.sum() * float('inf')).backward()
    scaler.step(optimizer)
    scaler.update()
    assert weight.item() == 1
    assert scaler.state_dict()['scale'] == 2

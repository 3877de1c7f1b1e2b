"""Steps of half precision: a CPU stands in for the GPU, with the scaler that training has there."""

import gc
import re
import weakref

import pytest
import torch

from aibnet_arch.training.scaled_step import scaled_step
from aibnet_arch.training.settings import TrainingSettings
from tests.training import assert_equal_weights, log_of, make_dataset, model_class, options, run, weights

AIBNetModel = model_class()
SCALE = 1024.0
pytestmark = pytest.mark.skipif(not hasattr(torch.amp, 'GradScaler'), reason='torch before 2.3: no scaler for the CPU')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    make_dataset(root)
    return root / 'data'


@pytest.fixture
def root(tmp_path, data, monkeypatch):
    (tmp_path / 'data').symlink_to(data)
    monkeypatch.setattr(TrainingSettings, 'scaler', lambda self, device: torch.amp.GradScaler('cpu', init_scale=SCALE))
    return tmp_path


def short(iterations: int, **changes) -> dict:
    fused = changes.pop('fused', False)
    opt = options(total_iter=iterations, stage_iter=[iterations], **changes)
    opt['network_g']['num_sub_decoders'] = 1
    opt['train']['optim_g']['fused'] = fused
    opt['val']['val_freq'] = 100
    return opt


def overflowing(monkeypatch, iterations: set) -> None:
    """In these iterations a gradient is infinite while it is scaled."""
    original = AIBNetModel._loss_terms
    calls = []

    def loss_terms(self):
        calls.append(None)
        if len(calls) in iterations:
            parameter = next(p for p in self.network.parameters() if p.requires_grad)
            handle = parameter.register_hook(lambda gradient: handle.remove() or gradient * float('inf'))
        return original(self)

    monkeypatch.setattr(AIBNetModel, '_loss_terms', loss_terms)


@pytest.mark.parametrize('fused', [False, True])
def test_a_step_that_the_scaler_leaves_out_is_counted(fused, root, monkeypatch):
    overflowing(monkeypatch, {2, 4})
    assert run(short(5, ema_decay=0.5, fused=fused), root=root, monkeypatch=monkeypatch) == 0
    log = log_of(root)
    assert re.findall(r'Iteration (\d): step skipped \((\d in a row, \d in all)\)', log) == [
        ('2', '1 in a row, 1 in all'),
        ('4', '1 in a row, 2 in all'),
    ]
    for key in ('params', 'params_ema'):  # not one of its steps: neither the average nor batch norm's statistics moved
        assert_equal_weights(weights(root, 1, key), weights(root, 2, key))
        assert any(
            not torch.equal(a, b) for a, b in zip(weights(root, 2, key).values(), weights(root, 3, key).values())
        )
    state = torch.load(root / 'experiments/run/training_states/5.state', weights_only=True)
    assert state['extra']['scaler']['scale'] == SCALE / 4


@pytest.mark.parametrize('fused', [False, True])
def test_too_many_of_them_stop_the_run(fused, root, monkeypatch, capsys):
    overflowing(monkeypatch, set(range(2, 20)))
    assert run(short(9, max_skipped_steps=3, fused=fused), root=root, monkeypatch=monkeypatch) == 1
    assert 'Iteration 4: step skipped (3 in a row, 3 in all)' in capsys.readouterr().err


@pytest.mark.parametrize('fused', [False, True])
def test_clipping_is_of_true_gradients(fused, root, monkeypatch):
    """Scaled ones, a thousand times larger, would all be cut."""
    names = ('plain', 'scaled')
    for name in names:
        opt = short(3, grad_clip=10.0, fused=fused)
        opt['name'] = name
        with monkeypatch.context() as patch:
            if name == 'plain':
                patch.setattr(
                    TrainingSettings, 'scaler', lambda self, device: torch.amp.GradScaler('cpu', enabled=False)
                )
            assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    plain, scaled = (weights(root, 3, name=name) for name in names)
    for key, value in plain.items():
        torch.testing.assert_close(scaled[key], value, rtol=1e-3, atol=1e-4, msg=lambda told, key=key: f'{key}: {told}')


@pytest.mark.parametrize('fused', [False, True])
def test_whatever_stops_a_step_the_next_gradients_are_of_true_size(fused):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=fused)
    scaler = torch.amp.GradScaler('cpu', init_scale=SCALE)
    seen = []

    def refuse(*_):
        seen.append(weight.grad.clone())
        if len(seen) == 1:
            raise ArithmeticError

    optimizer.register_step_pre_hook(refuse)
    scaler.scale(weight.sum()).backward()
    with pytest.raises(ArithmeticError):
        scaled_step(scaler, optimizer)
    optimizer.zero_grad()
    scaler.scale(weight.sum()).backward()
    assert scaled_step(scaler, optimizer)
    assert all(torch.equal(gradient, torch.ones(3)) for gradient in seen)


def test_a_loss_that_is_refused_leaves_no_graph_behind(root, monkeypatch):
    """Its backward pass, which would free the graph, never ran."""
    original_feed, original_terms = AIBNetModel.feed_data, AIBNetModel._loss_terms
    output, left = [], []

    def terms(self):
        if not output:
            output.append(weakref.ref(self.output))
            return {'l_pix': self.output.sum() * float('inf')}
        return original_terms(self)

    def feed(self, data):
        if output:
            gc.collect()
            left.append(output[0]())
        original_feed(self, data)

    monkeypatch.setattr(AIBNetModel, '_loss_terms', terms)
    monkeypatch.setattr(AIBNetModel, 'feed_data', feed)
    assert run(short(2), root=root, monkeypatch=monkeypatch) == 0
    assert left
    assert not any(each is not None for each in left)


def test_losses_are_brought_from_the_device_for_the_log_alone(root, monkeypatch):
    asked = []
    original = AIBNetModel.reduce_loss_dict
    monkeypatch.setattr(
        AIBNetModel, 'reduce_loss_dict', lambda self, terms: asked.append(terms) or original(self, terms)
    )
    opt = short(5)
    opt['logger']['print_freq'] = 4
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    assert len(asked) == 1
    assert re.search(r'iter: +4, .*l_char: \S+ l_edge: \S+ l_freq: \S+ l_total: \S+', log_of(root))

"""Signals and numbers that are not finite."""

import os
import re
import signal

import pytest
import torch

from tests.training import assert_equal_weights, log_of, make_dataset, model_class, options, run, weights

AIBNetModel = model_class()
from basicsr.data.paired_image_dataset import PairedImageDataset  # noqa: E402  after its mend

from aibnet_arch.basicsr_patches.model_methods import safe_class  # noqa: E402

AIBNetModel = safe_class(AIBNetModel)  # what a run builds


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    make_dataset(root)
    return root / 'data'


@pytest.fixture
def root(tmp_path, data):
    (tmp_path / 'data').symlink_to(data)
    return tmp_path


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory, data):
    """Final weights and log of an uninterrupted run, by number of workers (they do not matter, but may)."""
    root = tmp_path_factory.mktemp('undisturbed')
    (root / 'data').symlink_to(data)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(stopped_options(), root=root, monkeypatch=monkeypatch) == 0
    return root


def stopped_options(workers=0):
    opt = options(ema_decay=0.5)
    opt['datasets']['train']['num_worker_per_gpu'] = workers
    opt['logger']['save_checkpoint_freq'] = 4
    opt['val']['val_freq'] = 2  # so that the last validation, of iteration 9, comes after the training
    return opt


def at_call_of(original, number, action):
    calls = []

    def replaced(self, *args, **kwargs):
        calls.append(None)
        if len(calls) == number:
            action()
        return original(self, *args, **kwargs)

    return replaced


def at_call(method, number, action):
    """The method of AIBNetModel, doing something in its call of that number."""
    return at_call_of(getattr(AIBNetModel, method), number, action)


def send(name):
    return lambda: os.kill(os.getpid(), getattr(signal, name))


# What validation logs must agree, too.
def values_of(log):
    return re.findall(r'# (psnr: [\d.]+)\tBest: ([\d.]+ @ \d+)', log)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize(
    ('name', 'method', 'number', 'stops_after'),
    [
        ('SIGTERM', 'optimize_parameters', 2, 2),  # in training, in the middle of an epoch
        ('SIGINT', 'optimize_parameters', 5, 5),  # in the last iteration of stage 1
        ('SIGTERM', 'test', 5, 6),  # in the third validation, of two pictures each
        ('SIGINT', 'save_network', 1, 4),  # while saving
        ('SIGTERM', 'save_training_state', 2, 8),
        ('SIGTERM', 'test', 9, 9),  # in the last validation, after training
    ],
)
def test_a_signal_ends_the_iteration_saves_and_loses_nothing(
    name, method, number, stops_after, workers, root, undisturbed, monkeypatch, capsys
):
    opt = stopped_options(workers)
    former = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        patch.setattr(AIBNetModel, method, at_call(method, number, send(name)))
        assert run(opt, root=root, monkeypatch=monkeypatch) == 75
    assert f'stopped by {name}; iteration {stops_after} is saved' in capsys.readouterr().err
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == former
    first_log = log_of(root)
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    for key in ('params', 'params_ema'):
        assert_equal_weights(weights(undisturbed, 'latest', key), weights(root, 'latest', key))
    second_log = log_of(root)[len(first_log) :] if log_of(root).startswith(first_log) else log_of(root)
    assert values_of(second_log)[-1] == values_of(log_of(undisturbed))[-1]
    assert set(values_of(second_log)) <= set(values_of(log_of(undisturbed)))


def test_a_signal_before_the_first_iteration_saves_nothing(root, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        patch.setattr(AIBNetModel, 'update_learning_rate', lambda *args, **kwargs: pytest.fail('an iteration began'))
        from aibnet_arch.signals import STOP

        listen = STOP.listen
        patch.setattr(STOP, 'listen', lambda: (listen(), send('SIGTERM')()))
        assert run(options(), root=root, monkeypatch=monkeypatch) == 75
    assert 'there is nothing to save' in capsys.readouterr().err


@pytest.mark.parametrize('name', ['SIGTERM', 'SIGINT'])
def test_a_signal_before_training_ends_with_the_same_code(name, root, monkeypatch, capsys):
    """In the middle of the pre-flight, which tells everything that goes wrong, but not that."""
    with monkeypatch.context() as patch:
        patch.setattr(PairedImageDataset, '__len__', lambda self: send(name)())
        assert run(options(), root=root, monkeypatch=monkeypatch) == 75
    assert f'stopped by {name} before training began' in capsys.readouterr().err
    assert not (root / 'experiments').exists()


def test_a_second_ctrl_c_ends_at_once(root, monkeypatch):
    def twice():
        send('SIGINT')()
        send('SIGINT')()

    with monkeypatch.context() as patch:
        patch.setattr(AIBNetModel, 'feed_data', at_call('feed_data', 2, twice))
        assert run(options(), root=root, monkeypatch=monkeypatch) == 130


# Numbers that are not finite


def poison_input(model, iterations):
    original = AIBNetModel.feed_data

    def feed_data(self, data):
        original(self, data)
        feed_data.count += 1
        if feed_data.count in iterations and self.net_g.training:
            self.lq[0, 0, 0, 0] = float('nan')

    feed_data.count = 0
    return 'feed_data', feed_data


def poison_loss(model, iterations):
    original = AIBNetModel._loss_terms

    def loss_terms(self):
        loss_terms.count += 1
        terms = original(self)
        if loss_terms.count in iterations:  # its gradient stays finite
            terms['l_edge'] = terms['l_edge'] + torch.tensor(float('inf'))
        return terms

    loss_terms.count = 0
    return '_loss_terms', loss_terms


def poison_gradient(model, iterations):
    original = AIBNetModel._loss_terms

    def loss_terms(self):
        loss_terms.count += 1
        if loss_terms.count in iterations:
            parameter = next(p for p in self.network.parameters() if p.requires_grad)
            handle = parameter.register_hook(lambda gradient: handle.remove() or gradient * float('nan'))
        return original(self)

    loss_terms.count = 0
    return '_loss_terms', loss_terms


POISONS = {'input': poison_input, 'loss': poison_loss, 'gradient': poison_gradient}


def all_finite(root):
    for path in root.glob('experiments/run/models/*.pth'):
        content = torch.load(path, weights_only=True)
        for state in (value for key, value in content.items() if key.startswith('params')):
            assert all(torch.isfinite(value).all() for value in state.values()), path


@pytest.mark.parametrize('poison', POISONS)
def test_a_step_that_is_not_finite_is_skipped_and_counted(poison, root, monkeypatch):
    opt = options(ema_decay=0.5)
    opt['val']['val_freq'] = 100
    with monkeypatch.context() as patch:
        patch.setattr(AIBNetModel, *POISONS[poison](AIBNetModel, {3, 5}))
        assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    log = log_of(root)
    assert re.findall(r'Iteration (\d): step skipped \((\d in a row, \d in all)\)', log) == [
        ('3', '1 in a row, 1 in all'),
        ('5', '1 in a row, 2 in all'),
    ]
    assert re.search(r'Iteration 3: .*l_char .*The batch: .*p\d', log)
    all_finite(root)
    # Nothing has moved in the skipped iteration, batch norm statistics neither.
    assert_equal_weights(weights(root, 2), weights(root, 3))
    assert any(not torch.equal(a, b) for a, b in zip(weights(root, 3).values(), weights(root, 4).values()))


@pytest.mark.parametrize('poison', POISONS)
def test_too_many_in_a_row_stop_the_run(poison, root, monkeypatch, capsys):
    opt = options(max_skipped_steps=3)
    opt['val']['val_freq'] = 100
    with monkeypatch.context() as patch:
        patch.setattr(AIBNetModel, *POISONS[poison](AIBNetModel, set(range(4, 20))))
        assert run(opt, root=root, monkeypatch=monkeypatch) == 1
    message = capsys.readouterr().err
    for told in ('Iteration 6: step skipped (3 in a row', 'l_char', 'l_edge', 'l_freq', 'The batch: p', 'grad_clip'):
        assert told in message
    all_finite(root)
    assert_equal_weights(weights(root, 3), weights(root, 5))


def test_gradients_are_clipped_on_request(root, monkeypatch):
    norms = []

    def note(self, *args):
        gradients = [p.grad for p in self.network.parameters() if p.grad is not None]
        norms.append(float(torch.linalg.vector_norm(torch.stack([g.norm() for g in gradients]))))
        return {}

    opt = options(grad_clip=1e-3)
    opt['val']['val_freq'] = 100
    with monkeypatch.context() as patch:
        patch.setattr(AIBNetModel, 'reduce_loss_dict', note)
        assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    assert len(norms) == 9
    assert max(norms) == pytest.approx(1e-3, rel=1e-3)


def test_the_guard_serves_other_model_classes_too(root, monkeypatch, capsys):
    """SRModel with one of BasicSR's own networks, and a loss that turns into NaN."""
    from aibnet_arch.basicsr_patches.preparation import prepare

    prepare()
    from basicsr.losses.basic_loss import L1Loss
    from basicsr.models.sr_model import SRModel

    opt = options(pixel_opt={'type': 'L1Loss'}, total_iter=6, max_skipped_steps=2)
    del opt['train']['stage_iter']
    opt['train']['scheduler'].update(periods=[6], restart_weights=[1])
    opt['model_type'] = 'SRModel'
    opt['network_g'] = {
        'type': 'ECBSR',
        'num_in_ch': 3,
        'num_out_ch': 3,
        'num_block': 1,
        'num_channel': 4,
        'with_idt': False,
        'act_type': 'relu',
        'scale': 1,
    }
    opt['datasets']['train']['type'] = 'PairedImageDataset'
    del opt['datasets']['train']['use_vflip']
    forward = L1Loss.forward
    calls = []

    def poisoned(self, pred, *args, **kwargs):
        if not pred.requires_grad:  # the pre-flight tries it, too
            return forward(self, pred, *args, **kwargs)
        calls.append(None)
        return forward(self, pred, *args, **kwargs) + (float('nan') if len(calls) in (2, 4, 5) else 0)

    monkeypatch.setattr(L1Loss, 'forward', poisoned)
    monkeypatch.setattr(SRModel, 'test', at_call_of(SRModel.test, 1, send('SIGTERM')))
    assert run(opt, root=root, monkeypatch=monkeypatch) == 75  # in the validation of iteration 3
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 1
    assert 'Iteration 5: step skipped (2 in a row, 3 in all): the loss is not finite' in capsys.readouterr().err
    all_finite(root)

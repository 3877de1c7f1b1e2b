"""Whole runs through the `basicsr` command: stages, resume, test, exact length."""

import csv
import json
import random
import re
from copy import deepcopy

import numpy as np
import pytest
import torch

from tests.training import assert_equal_weights, log_of, make_dataset, model_class, options, run, weights


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    make_dataset(root)
    return root / 'data'


@pytest.fixture
def root(tmp_path, data):
    (tmp_path / 'data').symlink_to(data)
    return tmp_path


def state(root, iteration):
    path = root / 'experiments/run/training_states' / f'{iteration}.state'
    return torch.load(path, weights_only=True)


def learning_rates(log):
    return [(int(i), float(lr)) for i, lr in re.findall(r'iter: *(\d+), lr:\(([\d.e+-]+),', log)]


@pytest.mark.parametrize('ema_decay', [0, 0.5])
def test_two_stages_train_one_sub_decoder_each(root, monkeypatch, ema_decay):
    assert run(options(ema_decay=ema_decay), root=root, monkeypatch=monkeypatch) == 0
    end_of_first, last = weights(root, 5), weights(root, 'latest')
    start = weights(root, 1)
    # Stage 1 moved the encoder and sub-decoder 1, stage 2 left both alone to the last bit, buffers included.
    for prefix in ('encoder.', 'sub_decoders.0.'):
        assert_equal_weights(end_of_first, last, prefix)
        assert any(not torch.equal(start[key], end_of_first[key]) for key in start if key.startswith(prefix))
    assert any('running_mean' in key for key in last if key.startswith('sub_decoders.0.'))
    # Sub-decoder 2 did not move in stage 1 and moved in stage 2, its batch norm statistics too.
    assert_equal_weights(start, end_of_first, 'sub_decoders.1.')
    moved = [key for key in last if key.startswith('sub_decoders.1.') and not torch.equal(start[key], last[key])]
    assert any('running_mean' in key for key in moved)
    assert any('sfem' in key for key in moved)
    # The optimizer of stage 2 knows sub-decoder 2 alone.
    trained = [value for key, value in last.items() if key.startswith('sub_decoders.1.')]
    shapes = {tuple(entry['exp_avg'].shape) for entry in state(root, 9)['optimizers'][0]['state'].values()}
    assert shapes <= {tuple(value.shape) for value in trained}
    parameters = [k for k in last if k.startswith('sub_decoders.1.') and 'running' not in k and 'num_batches' not in k]
    assert len(state(root, 9)['optimizers'][0]['param_groups'][0]['params']) == len(parameters)
    if ema_decay:
        averaged = weights(root, 'latest', 'params_ema')
        for prefix in ('encoder.', 'sub_decoders.0.'):
            assert_equal_weights(averaged, last, prefix)
        mid_stage = weights(root, 4), weights(root, 4, 'params_ema')
        assert any(not torch.equal(mid_stage[0][key], mid_stage[1][key]) for key in mid_stage[0])


def test_the_schedule_starts_anew_at_each_stage(root, monkeypatch):
    assert run(options(), root=root, monkeypatch=monkeypatch) == 0
    rates = dict(learning_rates(log_of(root)))
    assert sorted(rates) == list(range(1, 10))
    assert rates[1] == rates[6] == pytest.approx(2e-3)
    assert rates[1] > rates[3] > rates[5] < rates[6] > rates[9]


def test_the_terms_of_the_loss_are_logged_apart(root, monkeypatch):
    opt = options()
    opt['logger']['use_tb_logger'] = True
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    log = log_of(root)
    for name in ('l_char', 'l_edge', 'l_freq', 'l_total'):
        assert len(re.findall(rf' {name}: \d\.\d+e[+-]\d+', log)) == 9
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(root / 'tb_logger/run')).Reload()
    assert {'losses/l_char', 'losses/l_edge', 'losses/l_freq'} <= set(events.Tags()['scalars'])


@pytest.mark.parametrize('killed_after, fused', [(3, False), (5, False), (7, False), (3, True), (7, True)])
def test_a_resumed_run_goes_on_where_it_was(root, monkeypatch, tmp_path_factory, killed_after, fused):
    """In stage 1, at its very end, and in stage 2: the weights end up as those of an uninterrupted run."""
    opt = options(ema_decay=0.5)
    opt['train']['optim_g']['fused'] = fused
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    other = tmp_path_factory.mktemp('killed')
    (other / 'data').symlink_to(root / 'data')

    from aibnet_arch.training.aibnet_model import AIBNetModel

    class KilledError(Exception):
        pass

    save = AIBNetModel.save

    def save_and_die(self, epoch, current_iter):
        save(self, epoch, current_iter)
        if current_iter == killed_after:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(AIBNetModel, 'save', save_and_die)
        with pytest.raises(KilledError):
            run(opt, root=other, monkeypatch=monkeypatch)
    assert run(opt, root=other, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    # The newest log only: BasicSR names logs by the second, and two starts within one share a file.
    newest = max((other / 'experiments/run').glob('*.log'), key=lambda path: path.name)
    assert learning_rates(newest.read_text())[-(9 - killed_after) :] == learning_rates(log_of(root))[killed_after:]
    assert f'iter: {killed_after}.' in newest.read_text()  # "Resuming training from epoch: ..., iter: ..."
    assert_equal_weights(weights(root, 'latest'), weights(other, 'latest'))
    assert_equal_weights(weights(root, 'latest', 'params_ema'), weights(other, 'latest', 'params_ema'))


def test_random_numbers_go_on_where_they_were(root, monkeypatch, tmp_path_factory):
    """Of all three generators: a batch gets noise of each, and validation draws from them, too."""
    opt = options(stage_iter=[2, 2], total_iter=4)
    model = model_class()
    feed_data = model.feed_data

    def feed_noise(self, data):
        numbers = random.random() + np.random.rand() - 1
        feed_data(self, {**data, 'lq': data['lq'] + 0.05 * (torch.randn_like(data['lq']) + numbers)})

    monkeypatch.setattr(model, 'feed_data', feed_noise)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    whole = weights(root, 'latest')
    other = tmp_path_factory.mktemp('other')
    (other / 'data').symlink_to(root / 'data')
    short = deepcopy(opt)
    short['val']['val_freq'] = 1  # it changes nothing
    assert run(short, root=other, monkeypatch=monkeypatch) == 0
    assert_equal_weights(whole, weights(other, 'latest'))
    for path in (*other.glob('experiments/run/*/*3.*'), *other.glob('experiments/run/*/*4.*')):
        path.unlink()
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    assert run(opt, root=other, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    assert_equal_weights(whole, weights(other, 'latest'))


def test_averaged_weights_keep_as_much_as_the_decay_says(root, monkeypatch):
    assert run(options(ema_decay=0.9, stage_iter=[3, 1], total_iter=4), root=root, monkeypatch=monkeypatch) == 0
    key = 'sub_decoders.0.to_residual.weight'
    before, after = weights(root, 1, 'params_ema')[key], weights(root, 2, 'params_ema')[key]
    assert torch.allclose(after, 0.9 * before + 0.1 * weights(root, 2)[key], atol=1e-7)
    assert not torch.allclose(before, after, atol=1e-5)


def test_resuming_with_other_stages_is_refused(root, monkeypatch, capsys):
    opt = options()
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    opt['train'].update(stage_iter=[2, 10], total_iter=12)
    opt['path']['resume_state'] = 'experiments/run/training_states/4.state'
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    assert 'of the first start' in capsys.readouterr().err


@pytest.mark.parametrize('key', ['params', 'params_ema'])
def test_basicsr_test_gives_the_psnr_that_training_logged(root, monkeypatch, key):
    opt = options(ema_decay=0.5 if key == 'params_ema' else 0)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    logged = re.findall(r'# psnr: ([\d.]+)', log_of(root))[-1]
    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g')}
    test['name'] = 'test_run'
    test['datasets'] = {'test': {**opt['datasets']['val'], 'name': 'val'}}
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_latest.pth', 'param_key_g': key}
    test['val'] = {'save_img': True, 'suffix': None, 'metrics': opt['val']['metrics']}
    assert run(test, root=root, monkeypatch=monkeypatch, command='test') == 0
    assert re.findall(r'# psnr: ([\d.]+)', log_of(root, 'test_run')) == [logged]
    assert len(list((root / 'results/test_run/visualization/val').glob('*.png'))) == 2
    rows = list(csv.DictReader((root / 'results/test_run/val.csv').open()))
    assert [row['image'] for row in rows] == ['p0', 'p1']
    assert all(float(row['seconds']) > 0 for row in rows)
    summary = json.loads((root / 'results/test_run/val.json').read_text())
    assert summary['metrics']['psnr']['mean'] == pytest.approx(sum(float(row['psnr']) for row in rows) / 2)
    assert f'{summary["metrics"]["psnr"]["mean"]:.4f}' == logged


def test_a_checkpoint_of_stage_one_is_tested_with_one_sub_decoder(root, monkeypatch):
    opt = options()
    opt['val']['val_freq'] = 5
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    logged = re.findall(r'# psnr: ([\d.]+)', log_of(root))[0]
    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g')}
    test['name'] = 'test_run'
    test['datasets'] = {'test': {**opt['datasets']['val'], 'name': 'val'}}
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_5.pth'}
    test['val'] = {'save_img': False, 'metrics': opt['val']['metrics']}
    assert run(test, root=root, monkeypatch=monkeypatch, command='test') == 0
    assert re.findall(r'# psnr: ([\d.]+)', log_of(root, 'test_run')) == [logged]


@pytest.mark.parametrize(('batch', 'total'), [(4, 7), (10, 5), (6, 12)])
def test_total_iter_is_reached_exactly(root, monkeypatch, batch, total):
    opt = options(stage_iter=[2, total - 2], total_iter=total)
    opt['datasets']['train']['batch_size_per_gpu'] = batch
    opt['val']['val_freq'] = 100
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    log = log_of(root)
    assert [i for i, _ in learning_rates(log)] == list(range(1, total + 1))
    assert re.findall(r'Best: [\d.]+ @ (\d+) iter', log) == [str(total)]


def test_b_goes_on_from_s(root, monkeypatch):
    small = options(stage_iter=[3], total_iter=3)
    small['name'], small['network_g']['num_sub_decoders'] = 'small', 1
    assert run(small, root=root, monkeypatch=monkeypatch) == 0
    big = options(stage_iter=[0, 4], total_iter=4)
    big['path']['pretrain_network_stages'] = 'experiments/small/models/net_g_latest.pth'
    assert run(big, root=root, monkeypatch=monkeypatch) == 0
    before, after = weights(root, 'latest', name='small'), weights(root, 'latest')
    for prefix in ('encoder.', 'sub_decoders.0.'):
        assert_equal_weights(before, after, prefix)
    assert len(learning_rates(log_of(root))) == 4


def test_direct_training_moves_all_sub_decoders(root, monkeypatch):
    opt = options(strategy='direct', total_iter=3)
    del opt['train']['stage_iter']
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    first, last = weights(root, 1), weights(root, 'latest')
    for prefix in ('encoder.', 'sub_decoders.0.', 'sub_decoders.1.'):
        assert any(not torch.equal(first[key], last[key]) for key in first if key.startswith(prefix))


def test_a_pretrained_frozen_encoder_stays_as_published(root, monkeypatch):
    from aibnet_arch.modeling.encoders import ENCODERS

    published = ENCODERS['nafnet'](width=8, encoder_blocks=[1, 1, 1, 1], middle_blocks=1)
    torch.save({'params': published.state_dict()}, root / 'nafnet.pth')
    opt = options(ema_decay=0.5)
    opt['network_g']['freeze_encoder'] = True
    opt['path']['pretrain_network_encoder'] = 'nafnet.pth'
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    for key in ('params', 'params_ema'):
        for name, value in published.state_dict().items():
            assert torch.equal(weights(root, 'latest', key)[f'encoder.{name}'], value)


@pytest.mark.parametrize(('workers', 'prefetch'), [(0, None), (2, None), (0, 'cpu'), (2, 'cpu')])
def test_the_data_do_not_depend_on_workers_or_prefetching(root, monkeypatch, workers, prefetch):
    opt = options(stage_iter=[2, 2], total_iter=4)
    opt['datasets']['train'].update(num_worker_per_gpu=workers, prefetch_mode=prefetch)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    losses = re.findall(r'l_total: ([\d.e+-]+)', log_of(root))
    reference = getattr(test_the_data_do_not_depend_on_workers_or_prefetching, 'losses', losses)
    test_the_data_do_not_depend_on_workers_or_prefetching.losses = reference
    assert len(losses) == 4
    assert losses == reference


def test_windows_and_tiles_are_options_of_testing(root, monkeypatch):
    assert run(options(), root=root, monkeypatch=monkeypatch) == 0
    test = {key: options()[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g')}
    test['datasets'] = {'test': {**options()['datasets']['val'], 'name': 'val'}}
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_latest.pth'}
    results = {}
    for name, inference in {
        'plain': {},
        'wide': {'window': 64, 'tiles': {'size': 64, 'overlap': 8}},  # no smaller than the 40x40 pictures
        'window': {'window': 16},
        'tiles': {'tiles': {'size': 32, 'overlap': 8}},
    }.items():
        test['name'] = f'test_{name}'
        test['val'] = {'save_img': False, 'metrics': options()['val']['metrics'], **inference}
        assert run(test, root=root, monkeypatch=monkeypatch, command='test') == 0
        results[name] = json.loads((root / f'results/test_{name}/val.json').read_text())['metrics']['psnr']['mean']
    assert results['wide'] == results['plain']
    assert len({results['plain'], results['window'], results['tiles']}) == 3
    assert max(results.values()) - min(results.values()) < 1


@pytest.mark.parametrize(
    ('inference', 'message'),
    [
        ({'window': 100}, 'val.window: 100'),
        ({'tiles': 512}, 'val.tiles: 512'),
        ({'tiles': {'size': 64, 'overlap': 32}}, 'less than half the size'),
    ],
)
def test_wrong_inference_options_are_refused(root, monkeypatch, capsys, inference, message):
    opt = options()
    opt['val'].update(inference)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert not (root / 'experiments').exists()

"""`basicsr profile --plan`: what it multiplies was counted right."""

import json
from pathlib import Path

import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main
from aibnet_arch.losses.aibnet_loss import AIBNetLoss
from aibnet_arch.profiling.measuring import count_macs
from aibnet_arch.profiling.run_plan import plan_run
from aibnet_arch.profiling.stage_estimate import StageEstimate, estimate
from tests.training import NETWORK, make_dataset, options, run

ADAM = {'type': 'Adam', 'lr': 1e-3, 'betas': [0.9, 0.999]}
SIZE = (32, 48)


def tiny() -> AIBNet:
    return AIBNet(**{key: value for key, value in NETWORK.items() if key != 'type'})


def two_convolutions() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1))


def test_a_plain_network_by_hand():
    found = estimate(two_convolutions, None, size=SIZE, optimizer=ADAM)
    pixels, weights = SIZE[0] * SIZE[1], 3 * 8 * 9 + 8 + 8 * 3 + 3
    assert found.flops == 2 * 3 * pixels * (3 * 8 * 9 + 8 * 3)
    # The picture for the first convolution; the ReLU's result, which the second needs as well.
    assert found.kept_bytes == 4 * pixels * (3 + 8)
    assert found.trainable == weights
    steps = 4 * 4  # Adam counts them for each of the four parameters
    assert found.weight_bytes == 4 * weights * (1 + 1 + 2) + steps
    assert found.checkpoint_bytes == 4 * weights * (1 + 2) + steps
    plain = estimate(two_convolutions, None, size=SIZE, optimizer={'type': 'SGD', 'lr': 1e-3}, ema=True)
    assert plain.weight_bytes == 4 * weights * 2
    assert plain.checkpoint_bytes == 4 * weights * 2


@pytest.mark.parametrize('stage', [1, 2, None])
def test_what_trains_counts_three_times(stage):
    found = estimate(tiny, stage, size=SIZE, optimizer=ADAM)
    network = tiny().eval()
    names = ['encoder', 'sub_decoders.0', 'sub_decoders.1']
    lean = count_macs(network, names, (1, 3, *SIZE))
    network.lean = None
    written = count_macs(network, names, (1, 3, *SIZE))
    trained = {1: names[:2], 2: names[2:], None: names}[stage]
    if stage == 1:
        names = names[:2]
    residual = SIZE[0] * SIZE[1] * 8 * 3 * 9
    expected = sum(3 * written[name][1] if name in trained else lean[name][1] for name in names) + 3 * residual
    assert found.flops == 2 * expected


def test_what_is_kept_is_what_autograd_saves():
    """Of real tensors, and of a step with its loss to the end."""
    torch.manual_seed(0)
    network = tiny().train()
    network.set_stage(2)
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    saved: dict[int, int] = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = network(torch.rand(2, 3, *SIZE))
    kept = estimate(tiny, 2, size=SIZE, optimizer=ADAM).kept_bytes
    AIBNetLoss()(output, torch.zeros_like(output)).backward()
    assert 2 * kept == pytest.approx(sum(saved.values()), rel=0.02)


def test_checkpointing_and_half_precision_keep_less_and_compute_as_often():
    plain, amp, again = (
        estimate(tiny, 1, size=SIZE, optimizer=ADAM, **changes)
        for changes in ({}, {'amp': 'bf16'}, {'checkpointing': True})
    )
    assert 0.4 * plain.kept_bytes < amp.kept_bytes < 0.8 * plain.kept_bytes
    assert again.kept_bytes < 0.8 * plain.kept_bytes
    assert amp.flops == plain.flops < again.flops < 4 / 3 * plain.flops


def test_a_checkpoint_takes_what_was_planned(tmp_path, monkeypatch):
    make_dataset(tmp_path)
    opt = options(total_iter=1, stage_iter=[1], ema_decay=0.5)
    opt['network_g']['num_sub_decoders'] = 1
    opt['val']['val_freq'] = 9
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    folder = tmp_path / 'experiments' / 'run'
    size = sum((folder / name).stat().st_size for name in ('models/net_g_1.pth', 'training_states/1.state'))
    build = lambda: AIBNet(**{k: v for k, v in opt['network_g'].items() if k != 'type'})  # noqa: E731
    planned = estimate(build, 1, size=(32, 32), optimizer=opt['train']['optim_g'], ema=True).checkpoint_bytes
    assert planned < size < 1.15 * planned  # names, and edges of pages


def stage(number: int, flops: float = 1e12) -> StageEstimate:
    return StageEstimate(number, trainable=1, flops=flops, kept_bytes=2e9, weight_bytes=10**9, checkpoint_bytes=5)


def test_a_run_is_multiplied_out():
    first, second = plan_run(
        [stage(1), stage(2, 2e12)], lengths=[1000, 500], batch=8, gpus=4, pictures=3200,
        save_freq=400, step_seconds=[3.6], watts=500,
    )  # fmt: skip
    assert (first.samples, first.epochs, second.samples) == (32000, 10, 16000)
    assert (first.step_flops, second.flops) == (32e12, 500 * 64e12)
    assert (first.hours, second.hours, first.gpu_hours, first.kwh) == (1, 0.5, 4, 2)
    assert first.gpu_bytes == 17e9
    assert (first.checkpoints, second.checkpoints) == (2, 1)  # at 400, 800 and 1200
    (by_rate,) = plan_run([stage(1)], lengths=[10], batch=8, gpus=4, pictures=None, save_freq=1, tflops=16)
    assert (by_rate.step_seconds, by_rate.epochs, by_rate.kwh) == (0.5, None, None)
    each = plan_run([stage(1), stage(2)], lengths=[1, 1], batch=1, gpus=1, pictures=1, save_freq=1, step_seconds=[1, 2])
    assert [one.step_seconds for one in each] == [1, 2]


def plan(tmp_path, opt, *flags):
    (tmp_path / 'opt.yml').write_text(yaml.safe_dump(opt))
    return main(['profile', '--plan', '-opt', str(tmp_path / 'opt.yml'), *flags])


def test_the_command_plans_each_stage_and_writes_it(tmp_path, monkeypatch, capsys):
    make_dataset(tmp_path)
    monkeypatch.chdir(tmp_path)
    opt = options()
    opt['logger'].update(save_checkpoint_freq=2, keep_checkpoints=2)
    written = tmp_path / 'plan.json'
    assert plan(tmp_path, opt, '--gpus', '2', '--step-seconds', '3600', '7200', '--json', str(written)) == 0
    first, second = json.loads(written.read_text())['stages']
    assert (first['iterations'], second['iterations']) == (5, 4)
    assert (first['samples'], first['epochs']) == (40, 4)  # of the ten pictures that are there
    assert (first['hours'], second['hours'], first['kwh']) == (5, 8, None)
    told = capsys.readouterr().out
    assert 'run, an iteration: 2 x 4 x 32 x 32' in told
    assert '13.0 hours' in told
    assert 'Checkpoints: 4 with' in told
    assert 'kWh' not in told


def test_what_cannot_be_known_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    opt = options(strategy='direct')
    del opt['train']['stage_iter']
    assert plan(tmp_path, opt) == 0
    told = capsys.readouterr().out
    assert 'give its number of pictures with --pictures' in told
    assert '--step-seconds' in told
    assert told.splitlines()[3].startswith('all ')


@pytest.mark.parametrize(
    ('spoil', 'flags', 'told'),
    [
        (lambda opt: opt.pop('train'), (), 'train.total_iter is missing'),
        (lambda opt: opt['train'].pop('optim_g'), (), 'train.optim_g is missing: a plan needs it'),
        (lambda opt: opt['train'].update(total_iter=8), (), 'adds up to 9'),
        (lambda opt: None, ('--step-seconds', '1', '2', '3'), '3 numbers for 2 stages'),
        (lambda opt: None, ('--gpus', '0'), 'expected a number above 0'),
    ],
)
def test_what_cannot_be_planned_is_told(spoil, flags, told, tmp_path, capsys):
    opt = options()
    spoil(opt)
    try:
        code = plan(tmp_path, opt, *flags)
    except SystemExit as error:  # argparse's
        code = error.code
    assert code == 2
    assert told in capsys.readouterr().err


def test_the_shipped_options_fit_a_gpu():
    """Batch 32 of 256x256 in float32: 233 GB without checkpointing."""
    opt = yaml.safe_load((Path(__file__).parent.parent / 'options' / 'AIBNet-S_GoPro.yml').read_text())
    network = {key: value for key, value in opt['network_g'].items() if key != 'type'}
    found = estimate(
        lambda: AIBNet(**network),
        1,
        size=(256, 256),
        optimizer=opt['train']['optim_g'],
        checkpointing=opt['train'].get('checkpointing', False),
    )
    assert 20e9 < found.weight_bytes + 32 * found.kept_bytes < 40e9

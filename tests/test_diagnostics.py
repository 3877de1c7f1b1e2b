"""Diagnostics are those of the equations, computed here by hand, and change nothing."""

import json
import math

import cv2
import numpy as np
import pytest
import torch
from einops import rearrange

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main
from aibnet_arch.errors import UserError
from aibnet_arch.modeling.lean import Lean
from aibnet_arch.profiling.diagnostics import LevelDiagnosis, diagnose, entropy, table_lines
from aibnet_arch.study.plan import Run
from aibnet_arch.study.report import diagnostics_of
from aibnet_arch.study.results import Result
from aibnet_arch.training.part_diagnostics import DiagnosticsFile
from tests.training import assert_equal_weights, make_dataset, options, run, weights

SMALL = {'encoder': 'nafnet', 'width': 8, 'encoder_blocks': (1, 1, 1, 1), 'blocks_per_level': 2}


def network_of(**options) -> AIBNet:
    torch.manual_seed(5)
    network = AIBNet(**{**SMALL, **options})
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith(('_scale', 'to_residual.weight')):
                parameter.normal_(std=0.3)
            elif name.endswith(('temperature', 'beta')):
                parameter.fill_(0.13 if name.endswith('beta') else 8.0)
            elif name.endswith('.fusion'):
                parameter.copy_(torch.linspace(0.1, 0.7, len(parameter)))
    return network


def image() -> torch.Tensor:
    return torch.rand(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))


def row_entropy(maps):
    return -(maps * maps.clamp_min(1e-300).log()).sum(dim=-1).mean().item()


def rms(x):
    return x.pow(2).mean().sqrt().item()


@pytest.mark.parametrize('options', [{'logit_scale': 'beta'}, {'heads': [1, 2, 2, 4], 'branch_scale': True}])
def test_the_figures_are_those_of_the_equations(options):
    network = network_of(**options).double().eval()
    kind = options.get('logit_scale', 'temperature')
    found = {(each.sub_decoder, each.level): each.figures for each in diagnose(network, image().double())}
    assert list(found) == [(1, level) for level in (1, 2, 3, 4)]
    level = network.sub_decoders[0].levels[1]
    taken = {}
    handle = level.up.register_forward_hook(lambda module, inputs, output: taken.update(up=output))
    before = level.register_forward_pre_hook(lambda module, inputs: taken.update(skip=inputs[1]))
    network.lean = None
    with torch.no_grad():
        network(image().double())
    handle.remove()
    before.remove()
    wanted = {name: [] for name in ('sfem.map1', 'sfem.map2', 'share.sca', 'share.sfem', 'share.feed_forward')}
    with torch.no_grad():
        x = taken['up'] + taken['skip']
        for block in level.sfdh_blocks:
            normed = block.norm1(x)
            sfem = block.sfem
            parts = sfem.depthwise(sfem.expand(normed)).chunk(5, dim=1)
            q1, k1, q2, k2, _ = (rearrange(p, 'b (n c) h w -> b n c (h w)', n=sfem.heads) for p in parts)
            channels = q1.shape[2]
            for name, query, key in (('sfem.map1', q1, k1), ('sfem.map2', q2, k2)):
                cosines = torch.nn.functional.normalize(query, dim=-1) @ torch.nn.functional.normalize(key, dim=-1).mT
                logits = cosines * 8.0 if kind == 'temperature' else cosines / 0.13
                wanted[name].append(row_entropy(logits.softmax(-1)) / math.log(channels))
            sca = block.sca(normed) * (1 if block.sca_scale is None else block.sca_scale)
            spatial = block.sfem_weight * sfem(normed)
            middle = x + sca + spatial
            scale = 1 if block.feed_forward_scale is None else block.feed_forward_scale
            last = block.feed_forward(block.norm2(middle)) * scale
            wanted['share.sca'].append(rms(sca) / rms(x))
            wanted['share.sfem'].append(rms(spatial) / rms(x))
            wanted['share.feed_forward'].append(rms(last) / rms(middle))
            x = middle + last
        hfs = level.hfs_block
        query, key, _ = (
            rearrange(p, 'b (n c) h w -> b n c (h w)', n=hfs.heads)
            for p in hfs.depthwise(hfs.expand(hfs.decoupler(x))).chunk(3, dim=1)
        )
        logits = hfs.logits(query, key)
        wanted['hfs.map'] = []
        for i in (1, 2, 3, 4):
            kept = channels * i // (i + 1)
            top = logits.topk(kept, dim=-1).values.softmax(-1)
            wanted['hfs.map'].append(row_entropy(top) / math.log(kept))
        wanted['share.hfs'] = [rms(hfs(x) - x) / rms(x)]
    means = {name: sum(values) / len(values) for name, values in wanted.items()}
    assert {name: found[1, 2][name] for name in means} == pytest.approx(means, rel=1e-6)
    assert means['sfem.map1'] < 0.95  # far from uniform, and not the other map
    assert abs(means['sfem.map1'] - means['sfem.map2']) > 1e-5
    assert [found[1, 2][f'hfs.lambda_{n}'] for n in (1, 2, 3, 4)] == pytest.approx([0.1, 0.3, 0.5, 0.7])
    alphas = [block.sfem.alpha().item() for block in level.sfdh_blocks]
    assert found[1, 2]['sfem.alpha'] == pytest.approx(sum(alphas) / 2)
    assert found[1, 2][f'hfs.{kind}'] == pytest.approx(8 if kind == 'temperature' else 0.13)


@pytest.mark.parametrize('options', [{}, {'num_masks': 0}, {'masked_logits': 'zero'}])
def test_uniform_logits_give_one(options):
    network = network_of(**options)
    for name, parameter in network.named_parameters():
        if name.endswith('depthwise.weight') and 'sub_decoders' in name:
            torch.nn.init.zeros_(parameter)  # Q and K are zero, and with them the logits
    for level in diagnose(network, image()):
        for name in ('sfem.map1', 'sfem.map2', 'hfs.map'):
            assert level.figures[name] == pytest.approx(1, abs=1e-6)


def test_one_entry_has_no_entropy_and_a_sharp_map_none_left():
    assert entropy(torch.ones(1, 1), 1) is None
    assert entropy(torch.eye(4), 4) == 0
    assert entropy(torch.tensor([[0.5, 0.5, 0, 0]]), 4) == pytest.approx(0.5)


def test_the_network_is_left_as_it_was():
    network = network_of(num_sub_decoders=2).train()
    network.set_stage(1)
    network.lean = lean = Lean(window=32, precision=torch.bfloat16)
    state = {name: value.clone() for name, value in network.state_dict().items() if isinstance(value, torch.Tensor)}
    assert {each.sub_decoder for each in diagnose(network, image())} == {1}  # the second is not trained yet
    assert network.lean is lean
    assert network.training
    assert network.sub_decoders[0].training
    after = network.state_dict()
    assert all(torch.equal(after[name], value) for name, value in state.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_gradients_are_those_of_the_newest_backward_pass():
    network = network_of()
    assert not any(name.startswith('grad') for name in diagnose(network, image())[0].figures)
    network(image()).square().mean().backward()
    figures = diagnose(network, image())[0].figures
    blocks = network.sub_decoders[0].levels[0].sfdh_blocks
    gradients = [p.grad for block in blocks for p in (*block.sfem.parameters(), block.sfem_weight)]
    wanted = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    assert wanted > 0
    assert figures['grad.sfem'] == pytest.approx(wanted, rel=1e-4)
    assert set(figures) >= {'grad.sca', 'grad.feed_forward', 'grad.hfs'}


def test_parts_that_are_left_out_have_no_figures():
    levels = diagnose(network_of(sfem=False, hfs_block=False), image())
    assert list(levels[0].figures) == ['share.feed_forward', 'share.sca']
    lines = table_lines(levels)
    assert lines[0].split() == ['1.1', '1.2', '1.3', '1.4']
    assert lines[1].startswith('share.feed_forward')


# Where they are told


def test_info_diagnoses_weights_on_the_middle_of_a_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    network = network_of().eval()
    torch.save({'params': network.state_dict()}, 'net.pth')
    torch.save({'params': {'intro.weight': torch.zeros(3)}}, 'other.pth')
    pixels = np.random.default_rng(0).integers(0, 256, (300, 270, 3), dtype=np.uint8)
    cv2.imwrite('photo.png', pixels)
    assert main(['info', 'net.pth', '--diagnose', 'photo.png']) == 0
    out = capsys.readouterr().out
    middle = torch.from_numpy(pixels[22:278, 7:263, ::-1].copy()).permute(2, 0, 1)[None] / 255
    wanted = table_lines(diagnose(network, middle))
    assert '\n'.join(['photo.png, the middle 256x256 pixels, by sub-decoder.level:', *wanted]) in out
    assert main(['info', 'net.pth', '--json', '--diagnose', 'photo.png']) == 0
    found = json.loads(capsys.readouterr().out)[0]['diagnosis']
    assert [row['level'] for row in found] == [1, 2, 3, 4]
    assert main(['info', 'net.pth', '--diagnose', 'none.png']) == 2
    assert '--diagnose none.png: there is no such file' in capsys.readouterr().err
    assert main(['info', 'other.pth', '--diagnose', 'photo.png']) == 2
    assert 'other.pth' in capsys.readouterr().err


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A run with diagnostics and TensorBoard, one without; the first is repeated from iteration 3 on."""
    root = tmp_path_factory.mktemp('trained')
    make_dataset(root)
    on, off = options(stage_iter=[3, 1], total_iter=4), options(stage_iter=[3, 1], total_iter=4)
    on['logger']['use_tb_logger'] = True
    off['logger']['diagnostics'], off['name'] = False, 'off'
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(on, root=root, monkeypatch=monkeypatch) == 0
        assert run(off, root=root, monkeypatch=monkeypatch) == 0
        whole = (root / 'experiments/run/diagnostics.csv').read_text()
        (root / 'experiments/run/training_states/4.state').unlink()
        assert run(on, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    return root, whole


def test_each_validation_is_diagnosed_once(trained):
    root, whole = trained
    file = DiagnosticsFile(root / 'experiments/run')
    assert (root / 'experiments/run/diagnostics.csv').read_text() == whole
    places = [(row['iteration'], row['sub_decoder'], row['level']) for row in file.rows()]
    assert places == [(i, s, level) for i, ss in (('3', '1'), ('4', '12')) for s in ss for level in '1234']
    last = file.rows()[-1]
    assert 0 < float(last['sfem.map1']) <= 1
    assert float(last['grad.hfs']) >= 0
    assert not file.rows()[4]['grad.sfem']  # sub-decoder 1 is frozen in stage 2
    assert not (root / 'experiments/off/diagnostics.csv').exists()


def test_diagnosing_changes_nothing_in_training(trained):
    root, _ = trained
    assert_equal_weights(weights(root, 4), weights(root, 4, name='off'))


def test_tensorboard_has_a_curve_for_each_level(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    root, _ = trained
    events = EventAccumulator(str(root / 'tb_logger/run'))
    events.Reload()
    found = events.Scalars('sfem.map2/1.3')
    rows = DiagnosticsFile(root / 'experiments/run').rows()
    assert found[0].step == 3
    assert found[0].value == pytest.approx(float(rows[2]['sfem.map2']), rel=1e-5)


def test_a_damaged_file_is_told(tmp_path):
    for text in ('iteration,level\nx,1\n', 'level\n1\n'):
        (tmp_path / 'diagnostics.csv').write_text(text)
        with pytest.raises(UserError, match=r'diagnostics\.csv is damaged'):
            DiagnosticsFile(tmp_path).rows()


def test_a_study_gathers_the_last_rows_of_finished_runs(tmp_path):
    runs = []
    for seed in (0, 1):
        opt = {'path': {'experiments_root': str(tmp_path)}}
        runs.append(Run(f'A-s{seed}', 'A', seed, opt, {}, 'digest', tmp_path / f'runs{seed}'))
        (tmp_path / f'A-s{seed}').mkdir()
        (tmp_path / f'runs{seed}').mkdir()
        for iteration in (5, 10):
            levels = [LevelDiagnosis(1, 1, {'sfem.map1': 0.9 + iteration / 1000})]
            DiagnosticsFile(tmp_path / f'A-s{seed}').note(iteration, levels)
    Result('A', 0, 'digest', 10, 1.0, 'x', []).write(tmp_path / 'runs0')
    wanted = {'entry': 'A', 'seed': '0', 'iteration': '10', 'sub_decoder': '1', 'level': '1', 'sfem.map1': '0.91'}
    assert diagnostics_of(runs) == [wanted]

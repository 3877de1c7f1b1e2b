"""Weights in the box, what files say of themselves, and the window that weights want."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from aibnet_arch.blurmap import contributions
from aibnet_arch.commands.main import main
from aibnet_arch.errors import CheckpointError
from aibnet_arch.modeling.lean import Lean
from aibnet_arch.photos import Deblurrer
from aibnet_arch.weights import box, read_network
from aibnet_arch.weights.box import weights_path
from aibnet_arch.weights.card import Card
from aibnet_arch.weights.wanted import Wanted
from aibnet_arch.weights.weight_file import WeightFile, write_weight_file
from tests.deblurring import TINY, network, save
from tests.odd_pictures import colours
from tests.training import METRICS, dataset_options, make_dataset, options, run

CARD = Card('AIBNet box', '0.1', 'nothing much', 'a test', 'Apache-2.0', {'gain_db': 0.5})
OPTIONS = {'datasets': {'train': {'gt_size': 24}}, 'val': {'window': 32}}


@pytest.fixture
def net():
    return network()


@pytest.fixture
def here(tmp_path, net, monkeypatch):
    """The current directory, with a photo, and a box of tiny weights that want a window."""
    monkeypatch.chdir(tmp_path)
    shipped = tmp_path / 'shipped.safetensors'
    entries = {'params': net.state_dict()}
    write_weight_file(
        shipped, WeightFile(entries=entries, iteration=7, options=yaml.safe_dump(OPTIONS), card=CARD.to_text())
    )
    monkeypatch.setattr(box, 'FILE', shipped)
    Image.fromarray(colours(64, 80)).save('photo.png')
    return tmp_path


def deblur(*flags):
    return main(['deblur', 'photo.png', '-o', 'out', '--overwrite', '--device', 'cpu', '--tile', 'whole', *flags])


def result():
    with Image.open('out/photo.png') as image:
        return np.asarray(image)


def by_hand(net, window):
    net.lean = Lean(window=window)
    with torch.no_grad():
        restored = net(torch.from_numpy(colours(64, 80)).permute(2, 0, 1)[None] / 255)
    net.lean = Lean()
    return (restored[0].clamp(0, 1) * 255).round().permute(1, 2, 0).numpy().astype(np.uint8)


def test_what_is_shipped_is_small_and_says_what_it_is():
    assert box.FILE.stat().st_size <= 8_000_000
    assert box.FILE.with_name('MODEL_CARD.md').is_file()
    weights = WeightFile.read('box')
    card, net = Card.of(weights), read_network('box')
    assert card.figures['gain_db'] > 0
    assert card.version in card.line()
    assert len(net.sub_decoders) == net.active_sub_decoders
    assert all(torch.isfinite(value).all() for value in net.state_dict().values() if value.is_floating_point())


# The word


def test_the_word_is_the_shipped_file_and_all_else_a_path(here):
    assert weights_path('box') == weights_path(Path('box')) == here / 'shipped.safetensors'
    assert weights_path('net.pth') == Path('net.pth')
    assert weights_path('~/net.pth') == Path.home() / 'net.pth'
    assert weights_path(here / 'box') == here / 'box'


def test_without_a_shipped_file_the_message_says_so(here, monkeypatch, capsys):
    monkeypatch.setattr(box, 'FILE', here / 'gone.safetensors')
    assert deblur() == 2
    assert 'no weights in the box' in capsys.readouterr().err
    with pytest.raises(CheckpointError, match='no weights in the box'):
        read_network('box')


def test_deblur_takes_the_box_unasked_and_says_what_to_expect(here, net, capsys):
    assert deblur() == 0
    assert 'weights: AIBNet box, version 0.1: nothing much' in capsys.readouterr().out
    assert np.array_equal(result(), by_hand(net, 32))


def test_all_commands_take_the_word(here, capsys):
    assert deblur('--weights', 'box') == 0
    assert main(['blurmap', 'photo.png', '-o', 'maps', '--weights', 'box']) == 0
    assert main(['convert', 'box', 'mine.pth']) == 0
    assert main(['export', 'box', 'mine.onnx', '--size', '16', '16']) == 0
    capsys.readouterr()
    assert main(['info', 'box', '--json']) == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert told['file'] == str(here / 'shipped.safetensors')
    assert (told['card']['name'], told['wanted']) == ('AIBNet box', {'window': 32, 'crop': 24})


def test_info_tells_the_card_and_the_window(here, capsys):
    assert main(['info', 'box']) == 0
    told = capsys.readouterr().out
    for line in (
        'AIBNet box, version 0.1',
        'nothing much',
        'Apache-2.0',
        'window of 32 pixels, trained on crops of 24',
    ):
        assert line in told


def test_a_card_goes_through_both_formats(here):
    assert main(['convert', 'box', 'a.pth']) == 0
    assert main(['convert', 'a.pth', 'b.safetensors']) == 0
    assert Card.of(WeightFile.read('b.safetensors')) == Card.of(WeightFile.read('a.pth')) == CARD
    assert Card.of(WeightFile.read(save(network(), here / 'plain.pth'))) is None


@pytest.mark.parametrize('text', ['', '[]', '{"name": "x"}', CARD.to_text().replace('0.5', '"much"'), '[' * 99999])
def test_a_damaged_card_is_refused(text):
    with pytest.raises(CheckpointError, match='its card is damaged'):
        Card.parse(text)


# The window that weights want


def test_the_window_can_be_another_or_none(here, net):
    assert deblur('--window', 'whole') == 0
    whole = result()
    assert np.array_equal(whole, by_hand(net, None))
    assert deblur('--window', '48') == 0
    assert np.array_equal(result(), by_hand(net, 48))
    assert not np.array_equal(whole, by_hand(net, 32))


def test_a_window_that_is_none_is_refused_unless_another_is_named(here, net, capsys):
    save(net, here / 'net.pth', options=yaml.safe_dump({'val': {'window': 'wide'}}))
    assert deblur('--weights', 'net.pth') == 2
    assert "val.window 'wide'" in capsys.readouterr().err
    assert deblur('--weights', 'net.pth', '--window', 'whole') == 0
    assert main(['blurmap', 'photo.png', '-o', 'maps', '--window', '30']) == 2
    assert 'window=30: expected a positive multiple of 16' in capsys.readouterr().err


def test_options_of_other_programs_want_nothing(net):
    for text in (None, 'val: [', '- 3', 'val: {window: ~}', 'val: 3'):
        assert Wanted.of(WeightFile(entries={}, options=text)) == Wanted()


def test_maps_are_made_with_the_window(here):
    for name, flags in (('own', []), ('same', ['--window', '32']), ('whole', ['--window', 'whole'])):
        assert main(['blurmap', 'photo.png', '-o', name, *flags]) == 0
    own, same, whole = (np.asarray(Image.open(f'{name}/photo/sfem.png')) for name in ('own', 'same', 'whole'))
    assert np.array_equal(own, same)
    assert not np.array_equal(own, whole)


def test_each_level_has_the_window_at_its_resolution(net, monkeypatch):
    seen = []
    term = contributions.sfem_term
    monkeypatch.setattr(
        contributions,
        'sfem_term',
        lambda block, x, window: seen.append((x.shape[3], window)) or term(block, x, window=window),
    )
    net.lean = Lean(window=32)
    contributions.observe(net, torch.rand(1, 3, 64, 80))
    assert sorted(seen) == [(10, 4), (20, 8), (40, 16), (80, 32)]


def test_a_test_takes_the_window_unless_its_options_name_one(here, monkeypatch):
    make_dataset(here, val=1)
    save(network(), here / 'net.pth', options=yaml.safe_dump(OPTIONS))
    figures = {}
    for name, weights, val in (
        ('own', 'net.pth', {}),
        ('same', 'net.pth', {'window': 32}),
        ('none', 'net.pth', {'window': None}),
        ('shipped', 'box', {}),
    ):
        opt = {
            **options(),
            'name': name,
            'datasets': {'test': dataset_options('val')},
            'network_g': {'type': 'AIBNet', **TINY},
            'path': {'pretrain_network_g': weights, 'param_key_g': 'params'},
            'val': {'save_img': False, 'metrics': METRICS, **val},
        }
        del opt['train'], opt['logger']
        assert run(opt, root=here, monkeypatch=monkeypatch, command='test') == 0
        log = next((here / 'results' / name).glob('*.log')).read_text()
        figures[name] = re.search(r'psnr: ([\d.]+)', log)[1]
        assert (f'val.window: 32, as {weights} wants' in log) == (not val)
    assert figures['own'] == figures['same'] == figures['shipped'] != figures['none']


def test_the_library_takes_the_box_unasked(here, net):
    deblurrer = Deblurrer.from_file(device='cpu')
    assert deblurrer.card == CARD
    assert read_network('box').arguments == net.arguments
    assert np.array_equal(deblurrer(colours(64, 80)), by_hand(net, 32))

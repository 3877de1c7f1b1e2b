"""The tools that make the file of the weights in the box, its figures and the README's picture."""

import csv

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from aibnet_arch.photos import Deblurrer
from aibnet_arch.weights import eight_bit, read_network
from aibnet_arch.weights.card import Card
from aibnet_arch.weights.wanted import Wanted
from aibnet_arch.weights.weight_file import WeightFile
from datasets_prep.lmdb_writer import write_pairs
from datasets_prep.pairs import Pair
from tests.deblurring import network, save
from tests.training import make_dataset, options, run
from tools import box_context, box_picture, box_table, box_weights
from tools.box_measures import EQUAL, Sample, figures, psnr, samples
from tools.classical_deblurring import GRIDS, best_setting


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A finished run of two stages with averaged weights, and a set of shaken pictures of which one is sharp."""
    root = tmp_path_factory.mktemp('box')
    make_dataset(root)
    opt = options(ema_decay=0.5)
    opt['val']['window'] = 32
    with pytest.MonkeyPatch.context() as patch:
        assert run(opt, root=root, monkeypatch=patch) == 0
    rng = np.random.default_rng(0)
    pairs = []
    for number in range(4):
        small = rng.integers(0, 256, (12, 20, 3), dtype=np.uint8)
        sharp = cv2.resize(small, (100, 60), interpolation=cv2.INTER_CUBIC)
        pairs.append(Pair(f'p-{number}', cv2.GaussianBlur(sharp, (0, 0), 1.5) if number else sharp, sharp))
    write_pairs(pairs, root / 'test/input.lmdb', root / 'test/target.lmdb', workers=1, progress=False)
    return root


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def make_box(*flags, output='box.safetensors'):
    arguments = ['--experiment', 'experiments/run', '--test', 'test', '--version', '0.1', '--output', output]
    return box_weights.main([*arguments, '--overwrite', *flags])


def test_the_file_holds_the_averaged_weights_and_says_what_they_are(here, capsys):
    assert make_box('--precision', 'float16') == 0
    weights, run_of = WeightFile.read('box.safetensors'), WeightFile.read('experiments/run/models/net_g_9.pth')
    assert list(weights.entries) == ['params']
    stored, averaged = weights.state_dict(), run_of.state_dict('params_ema')
    assert all(torch.equal(stored[key], averaged[key].half()) for key in averaged if averaged[key].is_floating_point())
    assert {str(value.dtype) for value in stored.values()} <= {'torch.float16', 'torch.uint8', 'torch.int64'}
    assert weights.iteration == 9
    assert Wanted.of(weights) == Wanted(window=32, crop=32)
    card = Card.of(weights)
    assert (card.name, card.version, card.licence) == ('AIBNet box', '0.1', 'Apache-2.0')
    assert card.recipe == 'options/AIBNet_box.yml, 9 iterations'
    deblur = Deblurrer.from_file('box.safetensors', device='cpu', tile='whole')
    gains = [psnr(deblur(s.lq), s.gt) - psnr(s.lq, s.gt) for s in samples(here / 'test') if not s.is_sharp]
    assert card.figures['gain_db'] == pytest.approx(np.mean(gains), abs=1e-3)
    assert card.figures['worst_gain_db'] == pytest.approx(min(gains), abs=1e-3)
    assert (card.figures['blurred_pictures'], card.figures['sharp_pictures']) == (3, 1)
    assert card.figures['training_hours'] >= 0
    assert 'float16 costs' in capsys.readouterr().out
    assert f'{np.mean(gains):+.1f} dB on 3 pictures' in card.expect


def test_large_matrices_are_in_8_bits_unless_more_are_asked_for(here, monkeypatch):
    monkeypatch.setattr(eight_bit, 'LEAST_NUMBERS', 100)
    monkeypatch.setattr(box_weights, 'MOST_LOSS', 1)
    kinds = []
    for precision in box_weights.PRECISIONS:
        assert make_box('--precision', precision, output=f'{precision}.safetensors') == 0
        kinds.append({value.dtype for value in load_file(f'{precision}.safetensors').values()} - {torch.uint8})
    assert [torch.int8 in each for each in kinds] == [True, False, False]
    assert [torch.float16 in each for each in kinds] == [True, True, False]
    sizes = [(here / f'{precision}.safetensors').stat().st_size for precision in box_weights.PRECISIONS]
    assert sizes == sorted(sizes)
    assert Card.of(WeightFile.read('int8.safetensors')).figures['gain_db'] != 0


def test_the_mean_with_other_weights_is_stored(here, capsys):
    first, last = (WeightFile.read(f'experiments/run/models/net_g_{n}.pth').state_dict('params_ema') for n in (6, 9))
    assert make_box('--mean-with', 'experiments/run/models/net_g_6.pth', '--precision', 'float32') == 0
    mean = WeightFile.read('box.safetensors').state_dict()
    assert all(torch.equal(mean[key], (first[key] + last[key]) / 2) for key in last if last[key].is_floating_point())
    assert any(not torch.equal(first[key], last[key]) for key in last)
    save(network(), here / 'other.pth')
    assert make_box('--mean-with', 'other.pth', output='never.safetensors') == 2
    assert 'is of another network, of which no mean can be made' in capsys.readouterr().err
    # Of the same network, but its second sub-decoder is not trained yet.
    assert make_box('--mean-with', 'experiments/run/models/net_g_4.pth', output='never.safetensors') == 2
    assert 'num_sub_decoders=1, here 2' in capsys.readouterr().err
    assert not (here / 'never.safetensors').exists()
    first_stage = ('--iteration', '4', '--mean-with', 'experiments/run/models/net_g_4.pth', '--precision', 'float32')
    assert make_box(*first_stage) == 0


def test_nothing_of_the_machine_is_in_it(here):
    assert make_box() == 0
    told = yaml.safe_load(WeightFile.read('box.safetensors').options)
    assert set(told) == {'name', 'model_type', 'scale', 'manual_seed', 'network_g', 'train', 'val', 'datasets'}
    assert str(here) not in (here / 'box.safetensors').read_bytes().decode('latin-1')
    assert 'dataroot_lq' not in told['datasets']['train']


def test_what_is_not_trained_yet_is_left_out(here):
    assert make_box('--iteration', '4', '--window', '0', '--precision', 'float32') == 0
    assert make_box(output='both.safetensors') == 0
    first, both = read_network('box.safetensors'), read_network('both.safetensors')
    assert (len(first.sub_decoders), len(both.sub_decoders)) == (1, 2)
    assert Wanted.of(WeightFile.read('box.safetensors')).window is None
    whole = read_network('experiments/run/models/net_g_4.pth', param_key='params_ema')
    image = torch.rand(1, 3, 20, 30)
    with torch.no_grad():
        assert torch.equal(first(image), whole(image))


def test_a_loss_by_float16_and_a_second_box_are_refused(here, monkeypatch, capsys):
    noisy = lambda state: {k: v + 0.02 * torch.randn(v.shape) if v.is_floating_point() else v for k, v in state.items()}  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(box_weights, 'as_float16', noisy)
        assert make_box(output='lossy.safetensors') == 2
        assert 'give more bits, --precision float16 or float32' in capsys.readouterr().err
        assert make_box('--precision', 'float16', output='lossy.safetensors') == 2
    assert 'give more bits, --precision float32' in capsys.readouterr().err
    assert not (here / 'lossy.safetensors').exists()
    assert make_box() == 0
    arguments = ['--experiment', 'experiments/run', '--test', 'test', '--version', '0.1']
    assert box_weights.main([*arguments, '--output', 'box.safetensors']) == 2
    assert 'exists already' in capsys.readouterr().err
    assert box_weights.main(['--experiment', 'nowhere', *arguments[2:]]) == 2
    assert 'no whole checkpoint' in capsys.readouterr().err


def test_the_table_has_each_method_on_each_picture(here, capsys):
    save(network(), here / 'net.pth')
    save(network(changes=False), here / 'same.pth')
    (here / 'CARD.md').write_text(f'before\n{box_table.START}\nold\n{box_table.END}\nafter\n')
    arguments = [
        '--box',
        'net.pth',
        '--weights',
        'same.pth',
        '--shaken',
        'test',
        '--output',
        'table',
        '--card',
        'CARD.md',
    ]
    assert box_table.main(arguments) == 0
    with open('table.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    methods = ['input', 'box', 'same', *GRIDS]
    assert [row['method'] for row in rows if row['picture'] == 'p-1'] == methods
    assert [row['method'] for row in rows if row['picture'] == 'p-0'] == [*methods, 'JPEG of quality 95']
    assert {row['kind'] for row in rows if row['picture'] == 'p-0'} == {'sharp'}
    assert all(float(row['gain_db']) == 0 for row in rows if row['method'] in ('input', 'same'))
    for pair in samples(here / 'test'):
        (row,) = (row for row in rows if (row['picture'], row['method']) == (pair.key, 'box'))
        restored = Deblurrer(network(), device='cpu')(pair.lq)
        assert float(row['output_db']) == pytest.approx(psnr(restored, pair.gt), abs=1e-3)
    text = (here / 'table.md').read_text()
    gains = [float(row['gain_db']) for row in rows if row['method'] == 'box' and row['kind'] == 'blurred']
    assert f'| {np.mean(gains):+.2f} | {min(gains):+.2f} | {max(gains):+.2f} |' in text
    assert (here / 'CARD.md').read_text() == f'before\n{box_table.START}\n\n{text}\n{box_table.END}\nafter\n'
    assert text in capsys.readouterr().out


def test_a_folder_of_sharp_pictures_stands_beside_its_set(here, capsys):
    """`datasets_prep.box` makes one: the settings are those of the blurred pictures in the other folder."""
    save(network(), here / 'net.pth')
    sharp = [Pair(pair.key, pair.gt, pair.gt) for pair in samples(here / 'test')][:2]
    write_pairs(sharp, here / 'sharp/input.lmdb', here / 'sharp/target.lmdb', workers=1, progress=False)
    arguments = ['--box', 'net.pth', '--output', 'both']
    assert box_table.main([*arguments, '--shaken', 'test', 'sharp']) == 0
    with open('both.csv', newline='') as file:
        rows = list(csv.DictReader(file))
    settings = {(row['set'], row['method']): row['setting'] for row in rows}
    assert {row['picture'] for row in rows if row['set'] == 'sharp'} == {'p-0', 'p-1'}
    assert all(settings['sharp', method] == settings['test', method] != '' for method in GRIDS)
    assert 'sharp: 2 sharp pictures' in (here / 'both.md').read_text()
    assert box_table.main([*arguments, '--shaken', 'sharp']) == 2
    assert 'sharp: no blurred pictures' in capsys.readouterr().err
    assert box_table.main([*arguments, '--shaken', 'test', '--real', 'test']) == 2
    assert 'test is given twice' in capsys.readouterr().err


def test_deconvolution_by_the_right_kernel_gains(here):
    blurred = [pair for pair in samples(here / 'test') if not pair.is_sharp]
    for name, (method, grid) in GRIDS.items():
        best = best_setting(name, blurred)
        found = [np.mean([psnr(method(p.lq, **s), p.gt) - psnr(p.lq, p.gt) for p in blurred]) for s in grid]
        assert best == grid[int(np.argmax(found))]
        assert max(found) > 1, name


def test_equal_pictures_and_figures():
    picture = np.zeros((2, 2, 3), np.uint8)
    assert psnr(picture, picture) == EQUAL
    assert psnr(picture, picture + 255) == 0
    assert psnr(picture, picture + 1) == pytest.approx(48.13, abs=0.01)
    assert figures([]) == {'blurred_pictures': 0, 'sharp_pictures': 0}


def test_the_picture_shows_both_and_stays_small(here, capsys):
    save(network(), here / 'net.pth')
    arguments = ['--weights', 'net.pth', '--shaken', 'test', '--output', 'box.jpg']
    assert box_picture.main([*arguments, '--picture', 'p-2', '--detail', '10', '5']) == 0
    with Image.open('box.jpg') as sheet:
        assert sheet.width == 2 * box_picture.WIDTH + box_picture.GAP
    assert (here / 'box.jpg').stat().st_size <= box_picture.MOST_BYTES
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    assert len(box_picture.jpeg(Image.fromarray(noise))) <= box_picture.MOST_BYTES * 2
    assert box_picture.main([*arguments, '--picture', 'p-22']) == 2
    assert "did you mean 'p-2'" in capsys.readouterr().err


def test_places_are_measured_alone_in_cutouts_around_them(monkeypatch):
    monkeypatch.setattr(box_context, 'SIDE', 8)
    rng = np.random.default_rng(0)
    gt = rng.integers(0, 200, (50, 70, 3), dtype=np.uint8)
    seen = []

    def restore(picture):
        """Nearer to the truth, the more it sees."""
        seen.append(picture.shape[:2])
        return picture - np.uint8(9 if min(picture.shape[:2]) <= 16 else 10 if min(picture.shape[:2]) < 50 else 11)

    def measured(lq, *, by, around):
        sample = Sample('p', lq, gt)
        return box_context.gains(sample, box_context.blurred_places(sample, around=around), by, around=around)

    found = measured(gt + np.uint8(12), by=restore, around=[16, 48])
    assert len(found) == box_context.PLACES
    assert seen == [(50, 70), *[(16, 16), (48, 48)] * box_context.PLACES]
    for place in found:
        assert place == pytest.approx({None: 20 * np.log10(12), 16: 20 * np.log10(12 / 3), 48: 20 * np.log10(12 / 2)})
    assert measured(gt ^ 1, by=lambda picture: picture, around=[16])[0][16] == 0  # 48.1 dB
    hardly = gt.copy()
    hardly[::2] ^= 1  # 51.1 dB
    assert measured(hardly, by=lambda picture: picture, around=[16]) == []
    assert len(set(box_context.places(50, 70, largest=24))) == box_context.PLACES
    assert box_context.places(50, 70, largest=24) == box_context.places(50, 70, largest=24)


def test_a_place_is_found_again_in_its_cutout(monkeypatch):
    monkeypatch.setattr(box_context, 'SIDE', 8)
    picture = np.arange(50 * 70).reshape(50, 70)
    for largest in (8, 24, 48, 60, 200):
        for place in box_context.places(50, 70, largest=largest):
            here = picture[place.cutout(8)]
            assert here.shape == (8, 8)
            for size in (8, 16, 48, 200, None):
                cutout = place.cutout(size)
                assert np.array_equal(picture[cutout][place.within(cutout)], here)
            assert picture[place.cutout(largest)].shape == (min(largest, 50), min(largest, 70))


def test_a_cutout_that_is_smaller_than_the_picture_cuts_off_what_is_outside(monkeypatch):
    monkeypatch.setattr(box_context, 'SIDE', 8)
    corner = box_context.Place(0, 60, 50, 70)
    assert corner.cutout(16) == (slice(0, 12), slice(56, 70))
    assert corner.within(corner.cutout(16)) == (slice(0, 8), slice(4, 12))


def test_the_table_of_cutouts_and_what_it_refuses(here, monkeypatch, capsys):
    save(network(), here / 'net.pth')
    arguments = ['--weights', 'net.pth', '--shaken', 'test', '--around']
    assert box_context.main([*arguments, '65']) == 2
    assert '--around 65: expected an even number of 64 or more' in capsys.readouterr().err
    assert box_context.main([*arguments, '64', '80']) == 2
    assert 'a picture of 100x60: a place has 64x64 pixels' in capsys.readouterr().err
    monkeypatch.setattr(box_context, 'SIDE', 48)
    assert box_context.main([*arguments, '48', '64']) == 0
    assert '9 places of 48x48' in capsys.readouterr().out
    monkeypatch.setattr(box_context, 'BLURRED', 0.0)
    monkeypatch.setattr(box_context, 'gains', None)  # told before anything is restored
    assert box_context.main([*arguments, '64']) == 2
    assert 'test: no two places of less than 0 dB' in capsys.readouterr().err
    monkeypatch.setattr(box_context, 'SIDE', 64)
    found = [{None: 2.0, 64: 1.0, 80: 1.5}, {None: 2.0, 64: 0.0, 80: 2.5}]
    lines = box_context.table(found, around=[64, 80]).splitlines()
    assert lines[0] == '2 places of 64x64'
    assert '| 64x64 | +0.50 dB | 1.50 | 0.50 |' in lines
    assert '| 80x80 | +2.00 dB | 0.00 | 0.50 |' in lines
    assert any(line.startswith('| whole pictures | +2.00 dB') for line in lines)


def test_a_set_that_is_not_there_is_told(here, capsys):
    assert box_table.main(['--box', 'net.pth', '--shaken', 'nowhere', '--output', 'table']) == 2
    save(network(), here / 'net.pth')
    assert box_table.main(['--box', 'net.pth', '--shaken', 'nowhere', '--output', 'table']) == 2
    assert 'there is no nowhere/input.lmdb and no nowhere/target.lmdb' in capsys.readouterr().err

"""Metrics and tables at the edges of their input: what is refused, and what must not flatter a mean."""

import json
import math

import cv2
import numpy as np
import pytest
import skimage.data

from aibnet_arch.errors import RunError
from aibnet_arch.metrics import (
    BASICSR_METRICS,
    EvaluationTable,
    calculate_psnr_aligned,
    calculate_ssim_2d,
    calculate_ssim_3d,
)


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    return picture, np.clip(picture.astype(int) + rng.integers(-9, 10, picture.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize('metric', [calculate_ssim_2d, calculate_ssim_3d])
@pytest.mark.parametrize('border', [-2, 20, 25])
def test_a_border_that_leaves_nothing_is_named(pair, metric, border):
    with pytest.raises(ValueError, match=f'crop_border {border} of a picture of 40x50'):
        metric(*pair, crop_border=border)


@pytest.mark.parametrize('metric', BASICSR_METRICS)
def test_what_is_no_picture_is_refused(pair, metric):
    with pytest.raises(TypeError, match='numpy arrays, got NoneType'):
        metric(None, pair[1])
    with pytest.raises(ValueError, match=r'\(H, W, 3\)'):
        metric(pair[0][:0], pair[1][:0])


def test_the_kept_alignment_never_hides_a_wrong_pair():
    flat = np.full((24, 32, 3), 9, np.uint8)
    calculate_psnr_aligned(flat, flat)
    with pytest.raises(ValueError, match='differ in shape'):
        calculate_psnr_aligned(flat, flat.reshape(32, 24, 3))  # the same bytes
    with pytest.raises(TypeError, match='uint8'):
        calculate_psnr_aligned(flat.view(np.int8), flat.view(np.int8))


def test_too_small_for_the_aligned_protocol(pair):
    with pytest.raises(ValueError, match='11x11'):
        calculate_psnr_aligned(pair[0][:8], pair[1][:8])


def test_2d_and_3d_ssim_differ_in_kind_at_31_db():
    photo = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)
    blurred = cv2.GaussianBlur(photo, (0, 0), 0.9)
    flat, volume = calculate_ssim_2d(blurred, photo), calculate_ssim_3d(blurred, photo)
    assert volume > flat + 0.02  # blur: the channels lose detail together
    noisy = np.clip(np.rint(photo + np.random.default_rng(0).normal(0, 7.2, photo.shape)), 0, 255).astype(np.uint8)
    assert calculate_ssim_3d(noisy, photo) > calculate_ssim_2d(noisy, photo) + 0.08  # noise: each by itself


@pytest.mark.parametrize('height', [11, 47, 48, 49, 58, 59, 97])
def test_cutting_into_strips_changes_nothing(height, monkeypatch):
    rng = np.random.default_rng(height)
    picture, other = rng.integers(0, 256, (2, height, 30, 3), dtype=np.uint8)
    in_strips = calculate_ssim_2d(picture, other), calculate_ssim_3d(picture, other)
    monkeypatch.setattr('aibnet_arch.metrics.ssim.STRIP', 1000)
    assert in_strips == pytest.approx((calculate_ssim_2d(picture, other), calculate_ssim_3d(picture, other)), abs=1e-12)


def table_of(*values):
    table = EvaluationTable(dataset='mine')
    for number, value in enumerate(values):
        table.add(image=str(number), metrics={'psnr': value}, seconds=np.float32(0.5))
    return table


def test_not_a_number_makes_the_mean_none(tmp_path):
    table_of(30.0, math.nan, math.inf).write(tmp_path / 't.csv', tmp_path / 't.json')
    summary = json.loads((tmp_path / 't.json').read_text(), parse_constant=pytest.fail)
    assert summary['metrics']['psnr'] == {'mean': None, 'not_finite': 2}
    assert [row['psnr'] for row in summary['pictures']] == [30.0, 'nan', 'inf']


def test_numpys_floats_can_be_written(tmp_path):
    table_of(np.float32(30)).write(tmp_path / 't.csv', tmp_path / 't.json')
    assert (tmp_path / 't.csv').read_bytes() == b'image,psnr,seconds,note\r\n0,30.0,0.5,\r\n'


def test_a_gain_is_above_0_where_it_is_better_whichever_way_the_metric_goes():
    table = EvaluationTable(dataset='mine', lower_is_better=['lpips'])
    for image, psnr, before in (('a', 31.5, 30.0), ('b', 30.0, 30.5), ('c', math.inf, math.inf)):
        table.add(
            image=image,
            metrics={'psnr': psnr, 'lpips': 0.25, 'ssim': 0.5},
            seconds=1,
            before={'psnr': before, 'lpips': 0.375},
        )
    pictures = table.summary()['pictures']
    assert [row['psnr_gain'] for row in pictures] == [1.5, -0.5, 0]
    assert [row['lpips_gain'] for row in pictures] == [0.125] * 3
    assert 'ssim_gain' not in pictures[0]
    found = table.summary()['metrics']
    assert found['psnr'] == {'mean': 30.75, 'not_finite': 1, 'input': 30.25, 'gain': pytest.approx(1 / 3)}
    assert found['lpips'] == {'mean': 0.25, 'not_finite': 0, 'better': 'lower', 'input': 0.375, 'gain': 0.125}
    assert found['ssim'] == {'mean': 0.5, 'not_finite': 0}
    assert table.means() == {'psnr': math.inf, 'lpips': 0.25, 'ssim': 0.5}
    assert table.means_of_input() == {'psnr': math.inf, 'lpips': 0.375}
    assert table.told().splitlines() == [
        '\t psnr: 30.7500, input 30.2500, gain +0.3333',
        '\t lpips: 0.2500, input 0.3750, gain +0.1250',
    ]


def test_a_summary_is_json_or_an_error(tmp_path):
    with pytest.raises(ValueError, match='JSON'):
        EvaluationTable(dataset='mine', about={'flops': math.nan}).write(tmp_path / 't.csv', tmp_path / 't.json')
    assert not (tmp_path / 't.json').exists()


def test_columns_cannot_be_mixed_up():
    table = table_of(30.0)
    with pytest.raises(ValueError, match='expected the metrics'):
        table.add(image='b', metrics={'ssim': 0.9}, seconds=1)
    with pytest.raises(ValueError, match="cannot be called 'note'"):
        table.add(image='b', metrics={'note': 0.9}, seconds=1)


def test_a_failed_write_leaves_nothing_behind(tmp_path):
    (tmp_path / 't.json').mkdir()
    with pytest.raises(RunError):
        table_of(30.0).write(tmp_path / 't.csv', tmp_path / 't.json')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['t.csv', 't.json']

"""SSIM in 2-D and 3-D, RealBlur's aligned metrics and the tables, against plain re-statements."""

import csv
import json

import cv2
import numpy as np
import pytest
import skimage.data
from scipy import ndimage
from skimage.metrics import structural_similarity

from aibnet_arch.metrics import (
    EvaluationTable,
    aligned,
    calculate_psnr_aligned,
    calculate_ssim_2d,
    calculate_ssim_3d,
    calculate_ssim_aligned,
)


@pytest.fixture(scope='module')
def photo():
    return cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)


def noisy(picture, deviation=8.0, blur=1.0):
    rng = np.random.default_rng(0)
    blurred = cv2.GaussianBlur(picture, (0, 0), blur) if blur else picture
    return np.clip(blurred + rng.normal(0, deviation, picture.shape), 0, 255).astype(np.uint8)


def psnr(a, b):
    return 10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2))


def test_2d_ssim_equals_basicsrs_and_skimages(photo):
    from aibnet_arch.basicsr_patches.functional_tensor import provide_functional_tensor

    provide_functional_tensor()
    from basicsr.metrics import calculate_ssim

    other = noisy(photo)
    assert calculate_ssim_2d(photo, other) == pytest.approx(calculate_ssim(photo, other, crop_border=0), abs=1e-9)
    assert calculate_ssim_2d(photo, other, crop_border=7) == pytest.approx(
        calculate_ssim(photo, other, crop_border=7), abs=1e-9
    )
    expected = structural_similarity(
        photo, other, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, channel_axis=2
    )
    assert calculate_ssim_2d(photo, other) == pytest.approx(expected, abs=1e-9)


def plain_ssim_3d(a, b):
    """The definition on the volume, with the full 11x11x11 kernel."""
    distance = np.arange(11) - 5
    taps = np.exp(-(distance**2) / (2 * 1.5**2))
    kernel = taps[:, None, None] * taps[None, :, None] * taps[None, None, :]
    kernel /= kernel.sum()

    def mean(values):
        return ndimage.correlate(values, kernel, mode='nearest')

    a, b = a.astype(np.float64), b.astype(np.float64)
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    similarity = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return (similarity / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean()


def test_3d_ssim_equals_the_definition(photo):
    sharp = photo[100:140, 200:251]
    other = noisy(sharp)
    assert calculate_ssim_3d(sharp, other) == pytest.approx(plain_ssim_3d(sharp, other), abs=1e-9)
    assert calculate_ssim_3d(sharp[..., ::-1], other[..., ::-1]) == pytest.approx(calculate_ssim_3d(sharp, other))
    assert calculate_ssim_3d(sharp, sharp) == pytest.approx(1)


def test_3d_ssim_is_higher_than_2d_by_as_much_as_published_numbers_are():
    """At about 31 dB: astronaut 0.88 against 0.93, coffee 0.88 against 0.99."""
    astronaut, coffee = (
        cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) for picture in (skimage.data.astronaut(), skimage.data.coffee())
    )
    for picture, flat, volume in ((astronaut, 0.890, 0.938), (coffee, 0.846, 0.982)):
        other = noisy(picture, deviation=3, blur=0.75)
        assert psnr(picture, other) == pytest.approx(30.7, abs=1)
        assert calculate_ssim_2d(picture, other) == pytest.approx(flat, abs=2e-3)
        assert calculate_ssim_3d(picture, other) == pytest.approx(volume, abs=2e-3)


def shifted(picture, homography):
    size = picture.shape[1::-1]
    return cv2.warpPerspective(picture, homography, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)


HOMOGRAPHY = np.array([[1.004, 0.003, 2.6], [-0.002, 0.997, -1.7], [4e-6, -3e-6, 1]])


def protocol(restored, truth):
    """RealBlur's steps one by one."""
    d, g = restored.astype(np.float32) / 255, truth.astype(np.float32) / 255
    zs = np.sum(g * d) / np.sum(d * d) * d
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 100, 0)
    _, warp = cv2.findTransformECC(
        cv2.cvtColor(g, cv2.COLOR_BGR2GRAY),
        cv2.cvtColor(zs, cv2.COLOR_BGR2GRAY),
        np.eye(3, 3, dtype=np.float32),
        cv2.MOTION_HOMOGRAPHY,
        criteria,
        None,
        5,
    )
    size = g.shape[1::-1]
    zr = cv2.warpPerspective(
        zs, warp, size, flags=cv2.INTER_CUBIC + cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )
    mask = cv2.warpPerspective(
        np.ones_like(zr), warp, size, flags=cv2.INTER_NEAREST + cv2.WARP_INVERSE_MAP, borderValue=0
    )
    g, zr = g * mask, zr * mask
    psnr = 10 * np.log10(1 / (((g - zr) ** 2).sum() / mask.sum()))
    _, similarity = structural_similarity(
        g, zr, gaussian_weights=True, use_sample_covariance=False, data_range=1.0, full=True, channel_axis=2
    )
    similarity, mask = (similarity * mask)[5:-5, 5:-5], mask[5:-5, 5:-5]
    return psnr, np.mean([similarity[..., c].sum() / mask[..., c].sum() for c in range(3)])


def test_aligned_metrics_follow_the_protocol_and_recover_a_known_shift(photo):
    truth = photo[100:400, 100:420]
    restored = np.clip(0.93 * shifted(photo, HOMOGRAPHY)[100:400, 100:420].astype(float), 0, 255).astype(np.uint8)
    expected_psnr, expected_ssim = protocol(restored, truth)
    measured = calculate_psnr_aligned(restored, truth)
    assert measured == pytest.approx(expected_psnr, abs=1e-3)
    assert calculate_ssim_aligned(restored, truth) == pytest.approx(expected_ssim, abs=1e-5)
    assert aligned.last_outcome() == 'aligned'
    assert measured > psnr(restored, truth) + 10
    assert abs(protocol(truth, restored)[0] - measured) > 0.05  # swapped arguments would be seen


def test_psnr_and_ssim_of_a_pair_share_one_alignment(photo, monkeypatch):
    truth = photo[:96, :96]
    restored = noisy(truth)
    calls = []
    align = aligned.align
    monkeypatch.setattr(aligned, 'align', lambda *pair: calls.append(1) or align(*pair))
    calculate_psnr_aligned(restored, truth)
    calculate_ssim_aligned(restored, truth)
    assert len(calls) == 1
    calculate_psnr_aligned(truth, restored)
    assert len(calls) == 2


@pytest.mark.parametrize('kind', ['flat', 'black', 'unrelated', 'flat truth', 'black truth'])
def test_what_cannot_be_aligned_is_scored_as_it_is_and_reported(photo, kind, caplog):
    truth = photo[:96, :128].copy()
    restored = {
        'flat': np.full_like(truth, 77),
        'black': np.zeros_like(truth),
        'unrelated': np.random.default_rng(1).integers(0, 256, truth.shape, dtype=np.uint8),
    }.get(kind, truth)
    if kind == 'flat truth':
        truth = np.full_like(truth, 99)
    if kind == 'black truth':
        truth = np.zeros_like(truth)
    value, similarity = calculate_psnr_aligned(restored, truth), calculate_ssim_aligned(restored, truth)
    assert np.isfinite(value)
    assert np.isfinite(similarity)
    if aligned.last_outcome() != 'aligned':
        assert aligned.last_outcome().startswith('not aligned: ')
        assert value == pytest.approx(psnr(restored, truth), abs=1e-3)
    assert kind == 'unrelated' or aligned.last_outcome() != 'aligned'


@pytest.mark.parametrize('metric', [calculate_ssim_2d, calculate_ssim_3d, calculate_psnr_aligned])
def test_input_that_would_give_nonsense_is_refused(photo, metric):
    with pytest.raises(TypeError, match='uint8'):
        metric(photo / 255, photo / 255)
    with pytest.raises(ValueError, match='differ in shape'):
        metric(photo, photo[:-1])
    with pytest.raises(ValueError, match=r'\(H, W, 3\)'):
        metric(photo[..., 0], photo[..., 0])
    with pytest.raises(TypeError, match='unexpected keyword'):
        metric(photo, photo, crop_boarder=1)


def test_a_table_is_written_whole_and_infinity_is_told_apart(tmp_path):
    table = EvaluationTable(dataset='mine')
    table.add(image='a', metrics={'psnr': 30.0, 'ssim': 0.9}, seconds=1.5)
    table.add(image='b, c', metrics={'psnr': float('inf'), 'ssim': 1.0}, seconds=0.5, note='not aligned: flat')
    table.write(tmp_path / 't.csv', tmp_path / 't.json')
    rows = list(csv.DictReader((tmp_path / 't.csv').open()))
    assert [row['image'] for row in rows] == ['a', 'b, c']
    assert rows[1] == {'image': 'b, c', 'psnr': 'inf', 'ssim': '1.0', 'seconds': '0.5', 'note': 'not aligned: flat'}
    summary = json.loads((tmp_path / 't.json').read_text())
    assert summary['metrics']['psnr'] == {'mean': 30.0, 'not_finite': 1}
    assert summary['metrics']['ssim']['mean'] == pytest.approx(0.95)
    assert (summary['images'], summary['seconds']) == (2, 2.0)
    assert summary['notes'] == {'b, c': 'not aligned: flat'}
    assert sorted(path.name for path in tmp_path.iterdir()) == ['t.csv', 't.json']

"""What the metrics tell besides a number: warnings, what an alignment holds, times, and names for BasicSR."""

import json
import logging

import numpy as np
import pytest

from aibnet_arch.metrics import (
    BASICSR_METRICS,
    EvaluationTable,
    align,
    calculate_psnr_aligned,
    calculate_ssim_2d,
    calculate_ssim_aligned,
    last_outcome,
)


@pytest.fixture
def warnings_of():
    """Messages of BasicSR's logger by a handler of our own: BasicSR switches off what caplog listens to."""
    messages = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = logging.getLogger('basicsr')
    logger.addHandler(handler)
    yield messages
    logger.removeHandler(handler)


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(1, 256, (40, 50, 3), dtype=np.uint8)


def test_one_warning_for_each_picture_that_cannot_be_aligned(truth, warnings_of):
    for restored in (np.zeros_like(truth), np.full_like(truth, 77)):
        calculate_psnr_aligned(restored, truth)
        calculate_ssim_aligned(restored, truth)
        assert last_outcome() in warnings_of[-1]
    assert len(warnings_of) == 2
    assert 'black' in warnings_of[0]
    assert 'ECC' in warnings_of[1]


def test_what_is_aligned_warns_of_nothing(truth, warnings_of):
    calculate_psnr_aligned(truth, truth)
    assert last_outcome() == 'aligned'
    assert not warnings_of


def test_an_alignment_that_failed_holds_the_pictures_as_they_came(truth):
    flat = np.full_like(truth, 77)
    alignment = align(flat, truth)
    assert alignment.outcome.startswith('not aligned: ECC')
    assert np.array_equal(np.rint(alignment.restored * 255), flat)  # neither scaled nor warped
    assert np.array_equal(np.rint(alignment.truth * 255), truth)
    assert alignment.mask.shape == truth.shape
    assert alignment.mask.all()


def test_total_and_mean_seconds(tmp_path):
    table = EvaluationTable(dataset='mine')
    assert table.summary()['mean_seconds'] is None
    for image, seconds in (('a', 1.5), ('b', 0.5)):
        table.add(image=image, metrics={'psnr': 30.0}, seconds=seconds)
    table.write(tmp_path / 't.csv', tmp_path / 't.json')
    summary = json.loads((tmp_path / 't.json').read_text())
    assert (summary['seconds'], summary['mean_seconds']) == (2.0, 1.0)


def test_the_y_channel_is_refused_rather_than_ignored(truth):
    with pytest.raises(ValueError, match='test_y_channel'):
        calculate_ssim_2d(truth, truth, test_y_channel=True)


def test_no_metric_takes_a_name_of_basicsrs():
    from aibnet_arch.basicsr_patches.functional_tensor import provide_functional_tensor

    provide_functional_tensor()
    import basicsr.metrics

    assert not {metric.__name__ for metric in BASICSR_METRICS} & set(basicsr.metrics.__all__)

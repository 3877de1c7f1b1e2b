"""Values and limits of the losses that the equations do not hold."""

import math

import pytest
import torch

from aibnet_arch.losses.aibnet_loss import AIBNetLoss
from aibnet_arch.losses.psnr_loss import PSNRLoss


def test_the_psnr_loss_is_minus_the_mean_psnr_of_the_pictures():
    target = torch.zeros(2, 3, 4, 5, dtype=torch.float64)
    pred = target.clone()
    pred[0, :, ::2] = 0.2  # mean squared error 0.02, rows that differ in it
    pred[1, 1] = 0.3  # 0.03
    expected = 10 * (math.log10(0.02) + math.log10(0.03)) / 2
    assert PSNRLoss(eps=0)(pred, target).item() == pytest.approx(expected, rel=1e-12)
    assert PSNRLoss(loss_weight=0.5, eps=0)(pred, target).item() == pytest.approx(expected / 2, rel=1e-12)
    assert PSNRLoss()(target, target).item() == pytest.approx(-80, rel=1e-12)
    with pytest.raises(ValueError, match='differ in shape'):
        PSNRLoss()(pred, target[:1])
    with pytest.raises(ValueError, match='mean alone'):
        PSNRLoss(reduction='sum')


@pytest.mark.parametrize('name', ['charbonnier_weight', 'edge_weight', 'frequency_weight', 'eps'])
def test_a_loss_weight_goes_up_to_a_million(name):
    AIBNetLoss(**{name: 1e6})
    with pytest.raises(ValueError, match=name):
        AIBNetLoss(**{name: 1e6 + 0.5})

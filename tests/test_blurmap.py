"""Where the network sees blur: the maps and their figures."""

import cv2
import numpy as np
import pytest
import scipy.stats
import torch
import torch.nn.functional as F

from aibnet_arch.blurmap import observe
from aibnet_arch.blurmap.baselines import gradient_energy, local_variance
from aibnet_arch.blurmap.contributions import HFS_BLOCK, SFEM, Part
from aibnet_arch.blurmap.figures import Truth, ranks, residual, roc_auc, smooth, spearman
from aibnet_arch.blurmap.overlay import Tile, colour_ends, lay_over, panel
from aibnet_arch.modeling.lean import strips
from aibnet_arch.modeling.lean.sfdh_block import sfem_term
from aibnet_arch.modeling.level_settings import LevelSettings
from aibnet_arch.modeling.sfdh_block import SFDHBlock
from tests.test_signature import noisy


@pytest.fixture(scope='module')
def net():
    torch.manual_seed(0)
    return noisy(num_sub_decoders=2, blocks_per_level=2)


@pytest.fixture(scope='module')
def image():
    return torch.rand(1, 3, 40, 52, generator=torch.Generator().manual_seed(1))


# Contributions


def test_sfem_term_is_its_term_of_equation_1(monkeypatch):
    torch.manual_seed(2)
    block = SFDHBlock(LevelSettings(channels=8)).eval()
    with torch.no_grad():
        block.sfem_weight.normal_()
        for parameter in block.feed_forward[1].parameters():
            parameter.zero_()  # Eq. (1) without its second line: x + SCA(LN(x)) + W SFEM(LN(x))
        x = torch.randn(1, 8, 48, 20)
        expected = block(x) - x - block.sca(block.norm1(x))
        assert torch.allclose(sfem_term(block, x), expected, atol=1e-5)
        monkeypatch.setattr(strips, 'CPU_BYTES', 1)  # many strips
        assert torch.allclose(sfem_term(block, x), expected, atol=1e-5)


@torch.no_grad()
def test_maps_are_the_mean_of_normalised_norms(net, image):
    """Against the definition, block by block, with the blocks' own plain paths."""
    inputs = {}
    handles = [
        module.register_forward_pre_hook(lambda module, args, name=name: inputs.__setitem__(name, args[0].clone()))
        for name, module in net.named_modules()
        if name.endswith('hfs_block') or ('.sfdh_blocks.' in name and name.count('.') == 5)
    ]
    net(image)
    for handle in handles:
        handle.remove()
    assert len(inputs) == 2 * 4 * 3

    def norm(name):
        block, x = net.get_submodule(name), inputs[name]
        is_hfs = name.endswith('hfs_block')
        added = block(x) - x if is_hfs else block.sfem_weight * block.sfem(block.norm1(x))
        return added[0].square().sum(dim=0).sqrt()

    def level(kind, number, depth):
        prefix = f'sub_decoders.{number - 1}.levels.{depth}.'
        names = [prefix + ('hfs_block' if kind == HFS_BLOCK else f'sfdh_blocks.{block}') for block in range(2)]
        maps = [norm(name) for name in dict.fromkeys(names)]
        mean = sum(values / values.mean() for values in maps) / len(maps)
        return F.interpolate(mean[None, None], size=(48, 64), mode='bilinear')[0, 0, :40, :52]

    seen = observe(net, image)
    assert torch.equal(seen.restored, net(image)[0])
    for kind in (SFEM, HFS_BLOCK):
        expected = {(n, d): level(kind, n, d) for n in (1, 2) for d in range(4)}
        assert torch.allclose(seen.map(kind), sum(expected.values()) / 8, rtol=1e-4, atol=1e-4)
        assert torch.allclose(seen.map(kind, sub_decoder=2, level=3), expected[2, 3], rtol=1e-4, atol=1e-4)
        assert seen.map(kind).std() > 0.01


def test_levels_are_kept_at_their_own_resolution_and_no_hook_stays(net, image):
    seen = observe(net, image)
    assert {part.kind for part in seen.levels} == {SFEM, HFS_BLOCK}
    assert all(values.shape == (48 >> part.level, 64 >> part.level) for part, values in seen.levels.items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    with pytest.raises(ValueError, match='sub-decoder 3'):
        seen.map(SFEM, sub_decoder=3)


def test_sub_decoders_that_do_not_run_have_no_map(image):
    net = noisy(num_sub_decoders=2)
    net.set_stage(1)
    assert {part.sub_decoder for part in observe(net.eval(), image).levels} == {1}


def test_a_block_that_adds_nothing_gives_zeros(image):
    net = noisy()
    with torch.no_grad():
        for level in net.sub_decoders[0].levels:
            level.sfdh_blocks[0].sfem_weight.zero_()
    seen = observe(net, image)
    assert not seen.levels[Part(SFEM, 1, 0)].any()
    assert seen.map(HFS_BLOCK).mean() > 0.9


@pytest.mark.parametrize('size', [(1, 1), (3, 70), (17, 2)])
def test_any_size(net, size):
    seen = observe(net, torch.rand(1, 3, *size))
    assert seen.map(SFEM).shape == seen.map(HFS_BLOCK).shape == size
    assert seen.map(SFEM).isfinite().all()


# Figures


@pytest.mark.parametrize('levels', [5, 1000])  # with and nearly without ties
def test_rank_correlation_is_scipys(levels):
    rng = np.random.default_rng(levels)
    first = rng.integers(0, levels, 400)
    second = first + rng.integers(0, levels, 400)
    assert spearman(ranks(first), ranks(second)) == pytest.approx(scipy.stats.spearmanr(first, second).statistic)


@pytest.mark.parametrize('levels', [4, 1000])
def test_area_under_roc_counts_pairs(levels):
    rng = np.random.default_rng(levels)
    values = rng.integers(0, levels, 120)
    positive = rng.random(120) < values / levels
    differences = values[positive][:, None] - values[~positive]
    expected = ((differences > 0) + (differences == 0) / 2).mean()
    assert roc_auc(ranks(values), positive) == pytest.approx(expected)
    assert expected > 0.6


def test_what_is_not_defined_is_not_a_number():
    constant, other = np.full(9, 0.3), np.arange(9)
    assert np.isnan(spearman(ranks(constant), ranks(other)))
    assert roc_auc(ranks(constant), other > 4) == 0.5
    assert np.isnan(roc_auc(ranks(other), other > 99))
    assert np.isnan(roc_auc(ranks(other), other >= 0))


def test_the_sign_turns_the_figures_round():
    rng = np.random.default_rng(0)
    truth = Truth('extent', rng.random((8, 9)), threshold=0.7)
    high = truth.figures(truth.values, sign=1)
    low = truth.figures(truth.values, sign=-1)
    assert high == pytest.approx((1, 1))
    assert low == pytest.approx((-1, 0))
    assert truth.share == pytest.approx((truth.values > 0.7).mean())


def test_a_single_noisy_pixel_is_smoothed_away_and_a_region_is_not():
    sharp = np.full((40, 40, 3), 100, np.uint8)
    blurred = sharp.copy()
    blurred[5, 5] += 60
    blurred[20:32, 20:32] += 20
    found = residual(blurred, sharp) > 8
    assert not found[:15, :15].any()
    assert found[22:30, 22:30].all()
    assert residual(blurred, sharp)[26, 26] == pytest.approx(20, abs=0.5)


# Baselines


def test_baselines_are_high_at_texture_and_zero_where_it_is_flat():
    picture = np.full((40, 80, 3), 90, np.uint8)
    picture[:, 40:] = np.random.default_rng(0).integers(60, 120, (40, 40, 1))
    for baseline in (local_variance, gradient_energy):
        values = baseline(picture)
        assert values.dtype == np.float32 and values.shape == (40, 80)
        assert not values[:, :34].any()
        assert values[:, 46:].mean() > 100
    window = picture[12:21, 56:65, 0].astype(float)
    assert local_variance(picture)[16, 60] == pytest.approx(window.var(), rel=1e-5)
    ramp = np.repeat(3 * np.arange(20, dtype=np.uint8)[None, :, None], 9, axis=0).repeat(3, axis=2)
    assert gradient_energy(ramp)[:, 1:-1] == pytest.approx(9)


def test_blur_takes_both_down():
    sharp = np.random.default_rng(1).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    blurred = cv2.blur(sharp, (1, 7))
    for baseline in (local_variance, gradient_energy):
        assert smooth(baseline(blurred))[10:-10, 10:-10].max() < smooth(baseline(sharp))[10:-10, 10:-10].min()


# Pictures


def test_colours_grow_lighter_with_the_value_over_any_picture():
    values = np.linspace(0, 2, 50, dtype=np.float32)[None].repeat(4, axis=0)
    over = lay_over(np.full((4, 50, 3), 128, np.uint8), values, ends=(0, 2))
    lightness = cv2.cvtColor(over, cv2.COLOR_BGR2GRAY)[0].astype(int)
    assert (np.diff(lightness) >= -1).all() and lightness[-1] - lightness[0] > 100


def test_ends_of_the_colours():
    values = np.arange(1000, dtype=np.float32)
    assert colour_ends(values, from_zero=True) == pytest.approx((0, 994), abs=1)
    assert colour_ends(values, values / 2, from_zero=False) == pytest.approx((2.5, 994), abs=1)
    assert colour_ends(np.zeros(4), from_zero=True) == (0, 1)


@pytest.mark.parametrize('size', [(1, 1), (3, 2000), (300, 20), (1200, 900)])
def test_a_panel_has_a_cell_for_every_tile_whatever_the_size(size):
    picture = np.full((*size, 3), 200, np.uint8)
    tiles = [Tile('input', '', picture)] + 3 * [Tile('map', 'a note, µ', picture, np.ones(size), 'units', (0.0, 2.0))]
    shown = panel(tiles)
    height, width = shown.shape[0] // 2, shown.shape[1] // 3
    cells = [shown[row * height :][:height, column * width :][:, :width] for row in range(2) for column in range(3)]
    inked = [(cell < 250).any() for cell in cells]
    assert inked == 4 * [True] + 2 * [False]
    assert max(shown.shape) < 2000

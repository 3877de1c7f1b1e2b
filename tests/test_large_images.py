"""Local statistics (TLC) and tiles."""

import pytest
import torch

from aibnet_arch.inference.tiles import restore_in_tiles
from aibnet_arch.modeling.channel_attention import over_windows
from aibnet_arch.modeling.decoupler import Decoupler
from aibnet_arch.modeling.hfs_block import HFSBlock
from aibnet_arch.modeling.layers import GlobalPool
from aibnet_arch.modeling.sfdh_block import SCA
from aibnet_arch.modeling.sfem import SFEM
from tests.test_network import tiny


def plain_local_mean(x, window):
    """Mean over the window around each position; windows that would leave the image are moved inside."""
    height, width = x.shape[2:]
    rows, columns = min(window, height), min(window, width)
    result = torch.empty_like(x)
    for y in range(height):
        for c in range(width):
            top = min(max(y - (rows - 1) // 2, 0), height - rows)
            left = min(max(c - (columns - 1) // 2, 0), width - columns)
            result[:, :, y, c] = x[:, :, top : top + rows, left : left + columns].mean(dim=(2, 3))
    return result


@pytest.mark.parametrize('size', [(9, 13), (5, 12), (12, 4)])
@pytest.mark.parametrize('window', [4, 5])
def test_a_local_pool_is_the_mean_around_each_position(size, window):
    pool = GlobalPool()
    pool.window = window
    x = torch.randn(2, 3, *size)
    expected = plain_local_mean(x, window) if max(size) > window else x.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(pool(x), expected)


@pytest.mark.parametrize('encoder', ['nafnet', 'ufpnet'])
def test_an_image_no_larger_than_the_window_comes_out_as_without(encoder):
    net = tiny(encoder=encoder, num_sub_decoders=2).eval()
    image = torch.rand(1, 3, 32, 29)
    with torch.no_grad():
        plain = net(image)
        net.set_window(32)
        assert torch.equal(net(image), plain)
        net.set_window(16)
        assert not torch.allclose(net(image), plain)
        net.set_window(None)
        assert torch.equal(net(image), plain)


@pytest.mark.parametrize('make', [SCA, SFEM, HFSBlock, Decoupler], ids=lambda make: make.__name__)
def test_statistics_of_a_larger_image_are_local(make):
    """What is far to the right does not reach the left, though without a window it does."""
    torch.manual_seed(0)
    module = make(8).eval()
    x = torch.randn(1, 8, 8, 64)
    changed = x.clone()
    changed[..., 40:] += torch.randn(1, 8, 8, 24)
    with torch.no_grad():
        assert not torch.allclose(module(x)[..., :16], module(changed)[..., :16])
        for part in module.modules():
            if hasattr(part, 'window'):
                part.window = 16
        torch.testing.assert_close(module(x)[..., :16], module(changed)[..., :16])


def test_every_global_statistic_of_the_network_gets_its_windows():
    for encoder in ('nafnet', 'ufpnet'):
        net = tiny(encoder=encoder, num_sub_decoders=2)
        net.set_window(64)
        windows = [module.window for module in net.modules() if hasattr(module, 'window')]
        assert None not in windows
        assert set(windows) == {64, 32, 16, 8, 4}
        with pytest.raises(ValueError, match='multiple of 16'):
            net.set_window(100)


def test_windows_are_averaged_where_they_overlap():
    context = torch.rand(1, 2, 5, 7)
    seen = []

    def attend(part):
        seen.append(part.shape[2:])
        return part * len(seen)

    result = over_windows(attend, context, 4)
    assert seen == [(4, 4)] * 4
    # The corners lie in one window each, the middle in all four.
    for (row, column), factor in {(0, 0): 1, (0, 6): 2, (4, 0): 3, (4, 6): 4, (2, 3): 2.5}.items():
        torch.testing.assert_close(result[..., row, column], context[..., row, column] * factor)


@pytest.mark.parametrize('size', [(40, 70), (64, 64), (130, 33), (65, 64)])
def test_tiles_of_a_pixelwise_function_leave_no_trace(size):
    image = torch.rand(2, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(restore_in_tiles(lambda x: 2 * x + 1, image, size=64, overlap=16), 2 * image + 1)


def test_tiles_have_a_bounded_size_and_blend_without_a_seam():
    seen = []

    def brightness_of_the_tile(tile):
        seen.append(tuple(tile.shape[2:]))
        return torch.full_like(tile, float(len(seen)))

    blended = restore_in_tiles(brightness_of_the_tile, torch.rand(1, 3, 32, 200), size=64, overlap=16)
    assert max(height * width for height, width in seen) <= 64 * 64
    steps = blended[0, 0, 0].diff().abs()
    assert steps.max() < 0.15  # from tile to tile the value changes by 1, but over at least 16 pixels


@pytest.mark.parametrize(('size', 'overlap'), [(64, 32), (64, -1), (0, 0)])
def test_tilings_that_do_not_work_are_refused(size, overlap):
    with pytest.raises(ValueError, match='less than half'):
        restore_in_tiles(lambda x: x, torch.rand(1, 3, 80, 80), size=size, overlap=overlap)


def test_an_image_that_fits_is_restored_whole():
    net = tiny().eval()
    image = torch.rand(1, 3, 30, 40)
    with torch.no_grad():
        assert torch.equal(restore_in_tiles(net, image, size=48, overlap=8), net(image))

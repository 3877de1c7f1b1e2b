"""Local statistics (TLC) and tiles."""

import pytest
import torch
from einops import rearrange

from aibnet_arch.inference.tiles import restore_in_tiles
from aibnet_arch.modeling.encoders.naf_block import NAFBlock
from aibnet_arch.modeling.hfs_block import HFSBlock
from aibnet_arch.modeling.lean import Lean, blocks
from aibnet_arch.modeling.lean.blocks import Runner
from aibnet_arch.modeling.lean.windows import LocalPool, over_windows
from aibnet_arch.modeling.level_settings import LevelSettings
from aibnet_arch.modeling.sfdh_block import SFDHBlock
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
    pool = LocalPool(window)
    x = torch.randn(2, 3, *size)
    expected = plain_local_mean(x, window) if max(size) > window else x.mean(dim=(2, 3), keepdim=True)
    torch.testing.assert_close(pool(x), expected)


@pytest.mark.parametrize('encoder', ['nafnet', 'ufpnet'])
def test_an_image_no_larger_than_the_window_comes_out_as_without(encoder):
    net = tiny(encoder=encoder, num_sub_decoders=2).eval()
    image = torch.rand(1, 3, 32, 29)
    with torch.no_grad():
        plain = net(image)
        net.lean = Lean(window=32)
        assert torch.equal(net(image), plain)
        net.lean = Lean(window=16)
        assert not torch.allclose(net(image), plain)
        net.lean = Lean()
        assert torch.equal(net(image), plain)


def attended(block, context, count):
    """Attention over channels of a map, (B, count C, H, W), as the equations have it: Q and K before V."""
    parts = [rearrange(part, 'b (g c) h w -> b g c (h w)', g=block.heads) for part in context.chunk(count, dim=1)]
    logits = [block.logits(query, key) for query, key in zip(parts[:-1:2], parts[1:-1:2])]
    if count == 3:
        attention = block.attention(logits[0])
    else:
        first, second = (each.softmax(dim=-1) for each in logits)
        attention = first - block.alpha() * second
    return rearrange(attention @ parts[-1], 'b g c (h w) -> b (g c) h w', h=context.shape[2])


def averaged(block, context, count, window):
    """The mean of what overlapping windows give, as few as cover the map, evenly spread."""
    height, width = context.shape[2:]
    total, seen = 0, torch.zeros(height, width, dtype=torch.float64)
    starts = [
        sorted({round(k * (n - window) / max(-(-n // window) - 1, 1)) for k in range(-(-n // window))})
        for n in (height, width)
    ]
    for top in starts[0] if height > window else [0]:
        for left in starts[1] if width > window else [0]:
            mask = torch.zeros(height, width, dtype=torch.float64)
            mask[top : top + window, left : left + window] = 1
            part = attended(block, context[..., top : top + window, left : left + window], count)
            placed = torch.zeros(*part.shape[:2], height, width, dtype=torch.float64)
            placed[..., top : top + window, left : left + window] = part
            total, seen = total + placed, seen + mask
    return total / seen


def local_sca(features, weigh, project, window):
    return project(features * weigh(plain_local_mean(features, window)))


def local_naf_block(block, x, window):
    features = block.gate(block.conv2(block.conv1(block.norm1(x))))
    x = x + block.beta * local_sca(features, block.sca[1], block.conv3, window)
    return x + block.gamma * block.conv5(block.gate(block.conv4(block.norm2(x))))


def local_sfdh_block(block, x, window):
    normed = block.norm1(x)
    sca, sfem = block.sca, block.sfem
    context = sfem.depthwise(sfem.expand(normed))
    x = x + local_sca(sca.features(normed), sca.weigh, sca.project, window)
    x = x + block.sfem_weight * sfem.project(averaged(sfem, context, 5, window))
    return x + block.feed_forward(block.norm2(x))


def local_hfs_block(block, x, window):
    decoupler = block.decoupler
    taps = decoupler.norm(decoupler.predict(plain_local_mean(x, window)))
    taps = taps.unflatten(1, (decoupler.groups, 9)).softmax(dim=2)
    padded = torch.nn.functional.pad(x, (1, 1, 1, 1), mode='reflect')
    low = torch.zeros_like(x)
    for c in range(x.shape[1]):
        for tap in range(9):
            shifted = padded[:, c, tap // 3 : tap // 3 + x.shape[2], tap % 3 : tap % 3 + x.shape[3]]
            low[:, c] += taps[:, c * decoupler.groups // x.shape[1], tap] * shifted
    return x + averaged(block, block.depthwise(block.expand(x - low)), 3, window)


def block_of(make, **changes):
    """A block of 8 channels with random weights, in double precision."""
    torch.manual_seed(0)
    block = make(8) if make is NAFBlock else make(LevelSettings(channels=8, **changes))
    with torch.no_grad():
        for tensor in block.state_dict().values():
            if tensor.is_floating_point():
                tensor.add_(0.3 * torch.rand_like(tensor))
    return block.double().eval()


LOCAL = {NAFBlock: local_naf_block, SFDHBlock: local_sfdh_block, HFSBlock: local_hfs_block}


@pytest.mark.parametrize('heads', [1, 2])
@pytest.mark.parametrize('size', [(9, 21), (8, 17), (26, 5)])
@pytest.mark.parametrize('make', LOCAL, ids=lambda make: make.__name__)
def test_a_block_with_a_window_is_tlc(make, size, heads):
    block = block_of(make, heads=heads)
    x = torch.randn(2, 8, *size, dtype=torch.float64)
    with torch.no_grad():
        result = Runner(window=8)(block, x, level=0)
        torch.testing.assert_close(result, LOCAL[make](block, x, 8), rtol=1e-10, atol=1e-10)
        assert not torch.allclose(result, block(x))
        assert torch.equal(Runner(window=16)(block, x, level=1), result)


@pytest.mark.parametrize('make', LOCAL, ids=lambda make: make.__name__)
def test_statistics_of_a_larger_image_are_local(make):
    """What is far to the right does not reach the left, though without a window it does."""
    block = block_of(make)
    x = torch.randn(1, 8, 8, 64, dtype=torch.float64)
    changed = x.clone()
    changed[..., 40:] += torch.randn(1, 8, 8, 24, dtype=torch.float64)
    with torch.no_grad():
        assert not torch.allclose(block(x)[..., :16], block(changed)[..., :16])
        local = Runner(window=16)
        torch.testing.assert_close(local(block, x, level=0)[..., :16], local(block, changed, level=0)[..., :16])


@pytest.mark.parametrize('encoder', ['nafnet', 'ufpnet'])
def test_every_global_statistic_of_the_network_gets_its_windows(encoder, monkeypatch):
    net = tiny(encoder=encoder, num_sub_decoders=2).eval()
    net.lean = Lean(window=64)
    seen = []

    def spied(lean):
        return lambda block, x, *maps, window, operations: (
            seen.append((block, x.shape[2], window)) or lean(block, x, *maps, window=window, operations=operations)
        )

    local = (blocks.Upsampling, blocks.EncodingBlock, blocks.DecodingBlock)  # without statistics
    statistics = {make: lean for make, lean in blocks.BLOCKS.items() if make not in local}
    for make, lean in statistics.items():
        monkeypatch.setitem(blocks.BLOCKS, make, spied(lean))
    with torch.no_grad():
        net(torch.rand(1, 3, 96, 32))
    assert all(window == 64 * height // 96 for _, height, window in seen)
    assert {window for *_, window in seen} == {64, 32, 16, 8, 4}
    pooling = [module for module in net.modules() if type(module) in statistics]
    assert {id(block) for block, *_ in seen} == {id(block) for block in pooling}
    assert len(seen) == len(pooling) == 5 + 2 * 4 * 2
    with pytest.raises(ValueError, match='multiple of 16'):
        Lean(window=100)


def test_a_window_is_for_inference():
    net = tiny().eval()
    net.lean = Lean(window=16)
    with pytest.raises(RuntimeError, match='no_grad'):
        net(torch.rand(2, 3, 32, 32))


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

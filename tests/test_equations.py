"""The paper's equations against slow, plain re-statements in float64."""

import math

import pytest
import torch
from torch.nn import functional as F

from aibnet_arch.losses.aibnet_loss import AIBNetLoss, laplacian
from aibnet_arch.modeling.decoder_level import DecoderLevel
from aibnet_arch.modeling.decoupler import Decoupler, filtered
from aibnet_arch.modeling.hfs_block import HFSBlock, MaskedAttention
from aibnet_arch.modeling.layers import LayerNorm2d
from aibnet_arch.modeling.level_settings import LevelSettings
from aibnet_arch.modeling.sfdh_block import SFDHBlock
from aibnet_arch.modeling.sfem import SFEM, DifferenceWeight
from aibnet_arch.modeling.sub_decoder import SubDecoder

CHANNELS = 8


@pytest.fixture(autouse=True)
def _double_precision():
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def shaken(module):
    """The module with random parameters, so that no initial zero or one hides a term."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return module.eval()


def conv(x, weight, bias=None, groups=1):
    """A convolution with zero padding, as a sum over explicit shifts."""
    batch, _, height, width = x.shape
    out, per_group, size, _ = weight.shape
    padded = F.pad(x, (size // 2,) * 4)
    result = torch.zeros(batch, out, height, width)
    for o in range(out):
        first = (o // (out // groups)) * per_group
        for i in range(per_group):
            for dy in range(size):
                for dx in range(size):
                    result[:, o] += weight[o, i, dy, dx] * padded[:, first + i, dy : dy + height, dx : dx + width]
        if bias is not None:
            result[:, o] += bias[o]
    return result


def plain_logits(query, key, beta, normalize):
    """Q T(K) / beta for (B, C, L), entry by entry."""
    batch, channels, _ = query.shape
    logits = torch.zeros(batch, channels, channels)
    for b in range(batch):
        for i in range(channels):
            for j in range(channels):
                dot = (query[b, i] * key[b, j]).sum()
                if normalize:
                    dot = dot / (query[b, i].square().sum().sqrt() * key[b, j].square().sum().sqrt())
                logits[b, i, j] = dot / beta
    return logits


def plain_softmax(logits):
    powers = (logits - logits.amax(dim=-1, keepdim=True)).exp()
    return powers / powers.sum(dim=-1, keepdim=True)


def plain_alpha(alpha):
    return (
        math.exp(float((alpha.query1 * alpha.key1).sum()))
        - math.exp(float((alpha.query2 * alpha.key2).sum()))
        + alpha.alpha_init
    )


def plain_beta(logits, head=0):
    return 1 / float(logits.temperature[head]) if hasattr(logits, 'temperature') else float(logits.beta[head])


def plain_sfem(x, sfem):
    context = conv(conv(x, sfem.expand.weight), sfem.depthwise.weight, groups=5 * CHANNELS)
    parts = context.reshape(x.shape[0], 5, CHANNELS, -1)
    length = CHANNELS // sfem.heads
    heads = []
    for head in range(sfem.heads):
        rows = slice(head * length, (head + 1) * length)
        query1, key1, query2, key2, value = (parts[:, number, rows] for number in range(5))
        beta = plain_beta(sfem.logits, head)
        first = plain_softmax(plain_logits(query1, key1, beta, sfem.logits.normalize))
        second = plain_softmax(plain_logits(query2, key2, beta, sfem.logits.normalize))
        heads.append(torch.einsum('bij,bjl->bil', first - plain_alpha(sfem.alpha) * second, value))
    return conv(torch.cat(heads, dim=1).reshape(x.shape), sfem.project.weight)


@pytest.mark.parametrize('heads', [1, 2])
@pytest.mark.parametrize('normalize', [True, False])
@pytest.mark.parametrize('scale', ['beta', 'temperature'])
def test_sfem_is_equations_2_and_3(heads, normalize, scale):
    settings = LevelSettings(channels=CHANNELS, heads=heads, normalize_logits=normalize, logit_scale=scale)
    sfem = shaken(SFEM(settings))
    x = torch.randn(2, CHANNELS, 5, 7)
    torch.testing.assert_close(sfem(x), plain_sfem(x, sfem), rtol=1e-10, atol=1e-10)


def test_alpha_is_equation_3_from_the_start():
    alpha = DifferenceWeight(length=16, alpha_init=0.8)
    assert float(alpha()) == pytest.approx(plain_alpha(alpha), rel=1e-12)
    assert 0.3 < float(alpha()) < 1.3  # alpha_init, but for the small random vectors
    with torch.no_grad():
        for vector in alpha.parameters():
            vector.zero_()
    assert float(alpha()) == 0.8


def test_alpha_learns_from_the_start():
    alpha = DifferenceWeight(length=16)
    alpha().backward()
    assert all(vector.grad.abs().max() > 0 for vector in alpha.parameters())


@pytest.mark.parametrize('changes', [{}, {'sfem_weight': 'scalar'}, {'branch_scale': True}], ids=str)
def test_sfdhblock_is_equation_1(changes):
    block = shaken(SFDHBlock(LevelSettings(channels=CHANNELS, **changes)))
    x = torch.randn(2, CHANNELS, 6, 5)

    def norm(x, layer):
        mean = x.mean(dim=1, keepdim=True)
        variance = ((x - mean) ** 2).mean(dim=1, keepdim=True)
        scaled = (x - mean) / (variance + 1e-6).sqrt()
        return scaled * layer.weight[:, None, None] + layer.bias[:, None, None]

    def gated(x, layer):
        x = conv(x, layer.expand.weight, layer.expand.bias)
        x = conv(x, layer.depthwise.weight, layer.depthwise.bias, groups=2 * CHANNELS)
        return x[:, :CHANNELS] * x[:, CHANNELS:]

    normed = norm(x, block.norm1)
    features = gated(normed, block.sca.features)
    pooled = features.sum(dim=(2, 3), keepdim=True) / (6 * 5)
    sca = conv(
        features * conv(pooled, block.sca.weigh.weight, block.sca.weigh.bias),
        block.sca.project.weight,
        block.sca.project.bias,
    )
    of_sca, of_feed_forward = (block.sca_scale, block.feed_forward_scale) if 'branch_scale' in changes else (1, 1)
    middle = x + of_sca * sca + block.sfem_weight * plain_sfem(normed, block.sfem)
    last = block.feed_forward[1]
    feed_forward = conv(gated(norm(middle, block.norm2), block.feed_forward[0]), last.weight, last.bias)
    expected = middle + of_feed_forward * feed_forward
    torch.testing.assert_close(block(x), expected, rtol=1e-10, atol=1e-10)


def test_w_of_equation_1_starts_at_one():
    assert torch.equal(SFDHBlock(LevelSettings(channels=CHANNELS)).sfem_weight, torch.ones(CHANNELS, 1, 1))


@pytest.mark.parametrize('heads', [1, 2])
@pytest.mark.parametrize('scale', ['beta', 'temperature'])
@pytest.mark.parametrize('init', [None, 1, 0.5])
def test_the_scale_of_the_logits_starts_at_the_root_of_c_or_as_told(heads, scale, init):
    settings = LevelSettings(channels=CHANNELS, heads=heads, logit_scale=scale, logit_scale_init=init)
    for logits in (SFEM(settings).logits, HFSBlock(settings).logits):
        ((name, value),) = logits.named_parameters()
        assert name == scale
        assert value.flatten().tolist() == pytest.approx([init or math.sqrt(CHANNELS / heads)] * heads)


def test_lambda_and_the_vectors_of_alpha_start_as_told():
    lambdas = [HFSBlock(LevelSettings(channels=8, lambda_init=init)).attention.lambdas for init in (None, 0.2, 0)]
    assert [each.tolist() for each in lambdas] == [[0.25] * 4, [0.2] * 4, [0.0] * 4]
    for deviation in (0.1, 0.5):
        alpha = SFEM(LevelSettings(channels=1024, alpha_deviation=deviation)).alpha
        vectors = torch.cat(list(alpha.parameters()))
        assert float(vectors.std()) == pytest.approx(deviation, rel=0.1)
        assert float(vectors.mean()) == pytest.approx(0, abs=deviation / 10)


def test_scaled_branches_start_closed_and_learn():
    block = SFDHBlock(LevelSettings(channels=CHANNELS, branch_scale=True))
    x = torch.randn(2, CHANNELS, 6, 5)
    torch.testing.assert_close(block(x), x + block.sfem(block.norm1(x)))
    block(x).square().sum().backward()
    assert all(scale.grad.abs().min() > 0 for scale in (block.sca_scale, block.feed_forward_scale))


def test_layer_norm_equals_torch():
    layer = shaken(LayerNorm2d(CHANNELS))
    x = torch.randn(2, CHANNELS, 3, 4)
    expected = F.layer_norm(x.permute(0, 2, 3, 1), (CHANNELS,), layer.weight, layer.bias, 1e-6).permute(0, 3, 1, 2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize('channels', [8, 9, 64])
def test_masks_keep_exactly_the_top_entries_of_each_row(channels):
    attention = MaskedAttention(head_channels=channels, num_masks=4)
    logits = torch.randn(2, 1, channels, channels).round(decimals=1)  # many ties
    for i, sparse in enumerate(attention.maps(logits), start=1):
        kept = sparse > 0
        assert (kept.sum(dim=-1) == channels * i // (i + 1)).all()
        smallest_kept = logits.masked_fill(~kept, math.inf).amin(dim=-1)
        largest_dropped = logits.masked_fill(kept, -math.inf).amax(dim=-1)
        assert (smallest_kept >= largest_dropped).all()
        torch.testing.assert_close(sparse.sum(dim=-1), torch.ones(2, 1, channels))


@pytest.mark.parametrize('masked_logits', ['dropped', 'zero'])
@pytest.mark.parametrize('channels, num_masks', [(2, 4), (3, 1), (9, 4), (32, 6)])
def test_the_sum_of_maps_is_made_without_them(channels, num_masks, masked_logits):
    """And its gradients, where rows lie far from zero on either side, too."""
    attention = MaskedAttention(head_channels=channels, num_masks=num_masks, masked_logits=masked_logits).double()
    attention.lambdas.data.uniform_(-1, 1)
    logits = 3 * torch.randn(2, 2, channels, channels, dtype=torch.float64)
    logits[0, 0, 0] -= 800
    logits[0, 0, 1] += 800
    logits.requires_grad_()
    wanted = torch.randn_like(logits)
    total = torch.einsum('i, i b h c d -> b h c d', attention.lambdas, attention.maps(logits))
    expected = (total, *torch.autograd.grad(total, [logits, attention.lambdas], wanted))
    total = attention(logits)
    found = (total, *torch.autograd.grad(total, [logits, attention.lambdas], wanted))
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def plain_hfs(x, block):
    high = block.decoupler(x)
    context = conv(conv(high, block.expand.weight), block.depthwise.weight, groups=3 * CHANNELS)
    query, key, value = context.reshape(x.shape[0], 3, CHANNELS, -1).unbind(1)
    logits = plain_logits(query, key, plain_beta(block.logits), block.logits.normalize)
    selected = torch.zeros_like(value)
    if not block.attention.kept:
        selected = plain_softmax(logits) @ value
    for i in range(1, len(block.attention.kept) + 1):
        kept = CHANNELS * i // (i + 1)
        sparse = torch.zeros_like(logits)
        for b in range(logits.shape[0]):
            for row in range(CHANNELS):
                top = sorted(range(CHANNELS), key=lambda column: -float(logits[b, row, column]))[:kept]
                sparse[b, row, top] = plain_softmax(logits[b, row, top])
        selected += block.attention.lambdas[i - 1] * torch.einsum('bij,bjl->bil', sparse, value)  # each M_i times V
    return x + selected.reshape(x.shape)


@pytest.mark.parametrize('num_masks', [0, 1, 4])
@pytest.mark.parametrize('scale', ['beta', 'temperature'])
def test_hfsblock_is_equations_5_and_6(num_masks, scale):
    block = shaken(HFSBlock(LevelSettings(channels=CHANNELS, num_masks=num_masks, logit_scale=scale)))
    x = torch.randn(2, CHANNELS, 6, 5)
    torch.testing.assert_close(block(x), plain_hfs(x, block), rtol=1e-10, atol=1e-10)


def plain_low_pass(x, decoupler):
    pooled = x.mean(dim=(2, 3), keepdim=True)
    taps = conv(pooled, decoupler.predict.weight)
    norm = decoupler.norm
    taps = (taps - norm.running_mean[:, None, None]) / (norm.running_var[:, None, None] + norm.eps).sqrt()
    taps = taps * norm.weight[:, None, None] + norm.bias[:, None, None]
    taps = plain_softmax(taps.reshape(x.shape[0], decoupler.groups, 9))
    padded = F.pad(x, (1, 1, 1, 1), mode='reflect')
    low = torch.zeros_like(x)
    for b in range(x.shape[0]):
        for c in range(x.shape[1]):
            group = c // (x.shape[1] // decoupler.groups)
            for dy in range(3):
                for dx in range(3):
                    window = padded[b, c, dy : dy + x.shape[2], dx : dx + x.shape[3]]
                    low[b, c] += taps[b, group, 3 * dy + dx] * window
    return low


@pytest.mark.parametrize('groups', [1, 2, 8])
def test_decoupler_splits_the_features(groups):
    decoupler = shaken(Decoupler(2 * CHANNELS, groups=groups))
    decoupler.norm.running_mean.normal_()
    decoupler.norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 2 * CHANNELS, 6, 5)
    low = decoupler.low_pass(x)
    torch.testing.assert_close(low, plain_low_pass(x, decoupler), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(low + decoupler(x), x)
    constant = torch.randn(1, 2 * CHANNELS, 1, 1).expand(1, 2 * CHANNELS, 6, 5)
    assert decoupler(constant).abs().max() < 1e-12


@pytest.mark.parametrize('width', [2, 3, 5])
def test_filters_of_each_position_that_are_all_the_same_are_one_filter(width):
    x, filters = torch.randn(2, CHANNELS, 4, width), torch.rand(2, 2, 9, 1, 1)
    torch.testing.assert_close(filtered(x, filters.expand(2, 2, 9, 4, width)), filtered(x, filters))


@pytest.mark.parametrize('groups', [0, -1, 3])
def test_decoupler_needs_groups_that_divide_the_channels(groups):
    with pytest.raises(ValueError, match=f'decoupler_groups={groups} does not divide'):
        Decoupler(CHANNELS, groups=groups)


def test_decoupler_refuses_to_train_with_a_batch_of_one():
    decoupler = Decoupler(CHANNELS)
    with pytest.raises(ValueError, match='batch of one'):
        decoupler.train()(torch.randn(1, CHANNELS, 4, 4))
    decoupler.eval()(torch.randn(1, CHANNELS, 4, 4))


# Figure 2


def plain_level(x, skip, level):
    x = conv(x, level.up[0].weight)
    batch, channels, height, width = x.shape
    up = torch.zeros(batch, channels // 4, 2 * height, 2 * width)
    for dy in range(2):
        for dx in range(2):
            up[:, :, dy::2, dx::2] = x[:, 2 * dy + dx :: 4]
    x = up + skip
    for block in level.sfdh_blocks:
        x = block(x)
    return level.hfs_block(x)


def test_a_level_adds_its_skip_and_ends_with_hfsblock():
    level = shaken(DecoderLevel(LevelSettings(channels=CHANNELS, blocks=2)))
    assert (len(level.sfdh_blocks), type(level.hfs_block)) == (2, HFSBlock)
    x, skip = torch.randn(2, 2 * CHANNELS, 3, 2), torch.randn(2, CHANNELS, 6, 4)
    torch.testing.assert_close(level(x, skip), plain_level(x, skip, level), rtol=1e-10, atol=1e-10)


def test_a_sub_decoder_goes_from_coarse_to_fine():
    part = shaken(SubDecoder([LevelSettings(channels=CHANNELS << i, blocks=1) for i in range(4)]))
    skips = [torch.randn(1, CHANNELS << i, 32 >> i, 16 >> i) for i in range(4)]
    x = bottom = torch.randn(1, CHANNELS << 4, 2, 1)
    expected = []
    for number in (3, 2, 1, 0):
        x = part.levels[number](x, skips[number])
        expected.insert(0, x)
    for found, wanted in zip(part(skips, bottom), expected):
        assert torch.equal(found, wanted)
    assert part.to_residual(expected[0]).shape == (1, 3, 32, 16)


# Eq. (7)


def test_charbonnier_term_by_hand():
    pred = torch.tensor([0.5, 0.2, 0.0, 1.0]).reshape(1, 1, 2, 2)
    target = torch.tensor([0.5, 0.5, 0.4, 1.0]).reshape(1, 1, 2, 2)
    expected = (0.001 + math.sqrt(0.09 + 1e-6) + math.sqrt(0.16 + 1e-6) + 0.001) / 4
    assert float(AIBNetLoss().terms(pred, target)['l_char']) == pytest.approx(expected, rel=1e-12)


def test_frequency_term_by_hand():
    difference = torch.tensor([[1.0, 2.0], [3.0, 5.0]])
    # The transform of a 2x2 image: sums and differences, all real.
    spectrum = [1 + 2 + 3 + 5, 1 - 2 + 3 - 5, 1 + 2 - 3 - 5, 1 - 2 - 3 + 5]
    expected = 0.1 * sum(map(abs, spectrum)) / 8  # 4 real and 4 imaginary parts
    term = AIBNetLoss().terms(difference.reshape(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))['l_freq']
    assert float(term) == pytest.approx(expected, rel=1e-12)


def plain_laplacian(image):
    taps = [0.05, 0.25, 0.4, 0.25, 0.05]
    height, width = image.shape

    def gaussian(image):
        result = torch.zeros(height, width)
        for y in range(height):
            for x in range(width):
                for dy in range(-2, 3):
                    for dx in range(-2, 3):
                        row, column = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                        result[y, x] += taps[dy + 2] * taps[dx + 2] * image[row, column]
        return result

    blurred = gaussian(image)
    kept = torch.zeros(height, width)
    kept[::2, ::2] = 4 * blurred[::2, ::2]
    return image - gaussian(kept)


def test_edge_term_is_the_charbonnier_distance_of_mprnets_laplacians():
    pred, target = torch.rand(2, 7, 8)
    torch.testing.assert_close(laplacian(pred[None, None])[0, 0], plain_laplacian(pred), rtol=1e-12, atol=1e-12)
    difference = plain_laplacian(pred) - plain_laplacian(target)
    expected = 0.05 * float((difference**2 + 1e-6).sqrt().mean())
    term = AIBNetLoss().terms(pred[None, None], target[None, None])['l_edge']
    assert float(term) == pytest.approx(expected, rel=1e-10)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    pred, target = torch.rand(2, 2, 3, 8, 8)
    loss = AIBNetLoss(charbonnier_weight=2, edge_weight=0, frequency_weight=0.3)
    terms = loss.terms(pred, target)
    assert set(terms) == {'l_char', 'l_freq'}
    standard = AIBNetLoss().terms(pred, target)
    assert float(loss(pred, target)) == pytest.approx(float(2 * standard['l_char'] + 3 * standard['l_freq']), rel=1e-12)


def test_the_loss_refuses_images_of_different_shapes():
    with pytest.raises(ValueError, match='differ in shape'):
        AIBNetLoss()(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 9))


@pytest.mark.parametrize('name', ['charbonnier_weight', 'edge_weight', 'frequency_weight', 'eps'])
@pytest.mark.parametrize('value', [True, '1', None, -1.0, float('nan'), 1e300])
def test_the_loss_refuses_what_is_no_weight(name, value):
    with pytest.raises(ValueError, match=f'{name}=.*expected a number'):
        AIBNetLoss(**{name: value})

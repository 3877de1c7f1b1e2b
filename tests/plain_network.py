"""The network once more, plainly: the paper's equations in eager PyTorch, channel by channel maps, no shortcut.

It has the parameters and keys of ``aibnet_arch.modeling``, so that the two can share weights
(``PlainSubDecoder().load_state_dict(sub_decoder.state_dict())``) and be compared in output, time and memory.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F


class PlainLayerNorm(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        mean = x.mean(dim=1, keepdim=True)
        variance = (x - mean).pow(2).mean(dim=1, keepdim=True)
        normed = (x - mean) / (variance + 1e-6).sqrt()
        return normed * self.weight[:, None, None] + self.bias[:, None, None]


class PlainConvGate(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.expand = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1, groups=2 * channels)

    def forward(self, x):
        first, second = self.depthwise(self.expand(x)).chunk(2, dim=1)
        return first * second


class PlainSCA(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.features = PlainConvGate(channels)
        self.weigh = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        x = self.features(x)
        return self.project(x * self.weigh(x.mean(dim=(2, 3), keepdim=True)))


class PlainAlpha(nn.Module):
    def __init__(self, length, alpha_init):
        super().__init__()
        self.alpha_init = alpha_init
        for name in ('query1', 'key1', 'query2', 'key2'):
            setattr(self, name, nn.Parameter(0.1 * torch.randn(length)))

    def forward(self):
        first = torch.exp((self.query1 * self.key1).sum())
        second = torch.exp((self.query2 * self.key2).sum())
        return first - second + self.alpha_init


class PlainLogits(nn.Module):
    def __init__(self, heads, length):
        super().__init__()
        self.beta = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(length)))

    def forward(self, query, key):
        return F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1) / self.beta


def parts_of(context, count, heads):
    """(B, count C, H, W) -> `count` tensors (B, heads, C/heads, H W)."""
    return [part.flatten(2).unflatten(1, (heads, -1)) for part in context.chunk(count, dim=1)]


class PlainSFEM(nn.Module):
    def __init__(self, channels, heads, alpha_init):
        super().__init__()
        self.heads = heads
        self.expand = nn.Conv2d(channels, 5 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(5 * channels, 5 * channels, 3, padding=1, groups=5 * channels, bias=False)
        self.logits = PlainLogits(heads, channels // heads)
        self.alpha = PlainAlpha(channels // heads, alpha_init)
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x):
        query1, key1, query2, key2, value = parts_of(self.depthwise(self.expand(x)), 5, self.heads)
        first = self.logits(query1, key1).softmax(dim=-1)
        second = self.logits(query2, key2).softmax(dim=-1)
        return self.project(((first - self.alpha() * second) @ value).reshape(x.shape))


class PlainSFDHBlock(nn.Module):
    def __init__(self, channels, heads, alpha_init):
        super().__init__()
        self.norm1 = PlainLayerNorm(channels)
        self.sca = PlainSCA(channels)
        self.sfem = PlainSFEM(channels, heads, alpha_init)
        self.sfem_weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.norm2 = PlainLayerNorm(channels)
        self.feed_forward = nn.Sequential(PlainConvGate(channels), nn.Conv2d(channels, channels, 1))

    def forward(self, x):
        normed = self.norm1(x)
        x = x + self.sca(normed) + self.sfem_weight * self.sfem(normed)
        return x + self.feed_forward(self.norm2(x))


class PlainDecoupler(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.groups = groups
        self.predict = nn.Conv2d(channels, 9 * groups, 1, bias=False)
        self.norm = nn.BatchNorm2d(9 * groups)

    def forward(self, x):
        batch, channels, height, width = x.shape
        taps = self.norm(self.predict(x.mean(dim=(2, 3), keepdim=True)))
        taps = taps.reshape(batch, self.groups, 1, 9, 1).softmax(dim=3)
        unfolded = F.unfold(F.pad(x, (1, 1, 1, 1), mode='reflect'), 3)
        unfolded = unfolded.reshape(batch, self.groups, channels // self.groups, 9, height * width)
        return x - (taps * unfolded).sum(dim=3).reshape(x.shape)


class PlainMaskedAttention(nn.Module):
    def __init__(self, length, num_masks):
        super().__init__()
        self.kept = [length * i // (i + 1) for i in range(1, num_masks + 1)]
        if num_masks:
            self.fusion = nn.Parameter(torch.full((num_masks,), 1 / num_masks))

    def forward(self, logits, value):
        if not self.kept:
            return logits.softmax(dim=-1) @ value
        result = 0
        for weight, kept in zip(self.fusion, self.kept):
            top = logits.topk(kept, dim=-1).indices
            masked = torch.full_like(logits, -torch.inf).scatter(-1, top, logits.gather(-1, top))
            result = result + weight * (masked.softmax(dim=-1) @ value)
        return result


class PlainHFSBlock(nn.Module):
    def __init__(self, channels, heads, num_masks, decoupler_groups):
        super().__init__()
        self.heads = heads
        self.decoupler = PlainDecoupler(channels, decoupler_groups)
        self.expand = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.depthwise = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False)
        self.logits = PlainLogits(heads, channels // heads)
        self.attention = PlainMaskedAttention(channels // heads, num_masks)

    def forward(self, x):
        query, key, value = parts_of(self.depthwise(self.expand(self.decoupler(x))), 3, self.heads)
        return x + self.attention(self.logits(query, key), value).reshape(x.shape)


class PlainLevel(nn.Module):
    def __init__(self, channels, blocks, heads, alpha_init, num_masks, decoupler_groups):
        super().__init__()
        self.up = nn.Sequential(nn.Conv2d(2 * channels, 4 * channels, 1, bias=False), nn.PixelShuffle(2))
        self.sfdh_blocks = nn.Sequential(*(PlainSFDHBlock(channels, heads, alpha_init) for _ in range(blocks)))
        self.hfs_block = PlainHFSBlock(channels, heads, num_masks, decoupler_groups)

    def forward(self, x, skip):
        return self.hfs_block(self.sfdh_blocks(self.up(x) + skip))


class PlainSubDecoder(nn.Module):
    def __init__(
        self, *, width=64, blocks_per_level=8, heads=(1, 1, 1, 1), alpha_init=0.8, num_masks=4, decoupler_groups=8
    ):
        super().__init__()
        self.levels = nn.ModuleList(
            PlainLevel(width * 2**level, blocks_per_level, heads[level], alpha_init, num_masks, decoupler_groups)
            for level in range(4)
        )
        self.to_residual = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, skips, bottom):
        refined = []
        x = bottom
        for level, skip in zip(reversed(self.levels), reversed(tuple(skips))):
            x = level(x, skip)
            refined.append(x)
        return tuple(reversed(refined))


def plain_kernels(flow, code):
    """UFPNet's flow prior run inverse, every step on all 361 taps: (B, 361, H, W) -> (B, 361, H, W)."""
    x = code.permute(0, 2, 3, 1)
    for coupling, norm in zip(reversed(flow.net[0::2]), reversed(flow.net[1::2])):
        x = (x - norm.beta) * torch.exp(-norm.log_gamma) * (norm.running_var + 1e-5).sqrt() + norm.running_mean
        passed = coupling.mask * x
        changed = x * coupling.s_net(passed).exp() + coupling.t_net(passed)
        x = passed + (1 - coupling.mask) * changed
    x = (x.sigmoid() - flow.alpha) / (1 - 2 * flow.alpha) * flow.normalization
    return x.permute(0, 3, 1, 2)

"""UFPNet as a function of its published state dict, said once more: plain, and only for the tests."""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

Weights = Mapping[str, Tensor]
TAPS = 361


def _conv(weights: Weights, name: str, x: Tensor, **how) -> Tensor:
    return F.conv2d(x, weights[f'{name}.weight'], weights.get(f'{name}.bias'), **how)


def _conv3(weights: Weights, name: str, x: Tensor, **how) -> Tensor:
    return _conv(weights, name, x, padding=1, **how)


def _two_residual_blocks(weights: Weights, name: str, x: Tensor) -> Tensor:
    for block in ('ResBlock1', 'ResBlock2'):
        inner = _conv3(weights, f'{name}.{block}.body.1', x.relu()).relu()
        x = x + _conv3(weights, f'{name}.{block}.body.3', inner)
    return x.relu()


def _code(weights: Weights, image: Tensor) -> Tensor:
    """The standardised kernel code of every pixel without noise, weighted by its certainty: (B, 361, H, W)."""
    skips, x, name = [], image, 'kernel_extra'
    for number in (1, 2):
        block = f'{name}.Encoding_Block{number}'
        skips.append(_two_residual_blocks(weights, block, _conv3(weights, f'{block}.Conv_head', x)))
        x = _conv3(weights, f'{block}.downsample', skips[-1], stride=2)
    for number in range(5):
        x = _conv3(weights, f'{name}.Conv_mid.body.{2 * number}', x).relu()
    for number in (1, 2):
        block = f'{name}.Decoding_Block{number}'
        up = {'stride': 2, 'padding': 1, 'output_padding': 1}
        x = F.conv_transpose2d(x, weights[f'{block}.Conv_t.weight'], weights[f'{block}.Conv_t.bias'], **up)
        x = _conv3(weights, f'{block}.Conv_head', torch.cat((x, skips.pop()), dim=1))
        x = _two_residual_blocks(weights, block, x)
    heads = {}
    for head in ('mean', 'var'):
        inner = _conv3(weights, f'{name}.Conv_tail.{head}.0', x).relu()
        heads[head] = _conv3(weights, f'{name}.Conv_tail.{head}.2', inner)
    mean = heads['mean'].softmax(dim=1)
    sigma = heads['var'].sigmoid().mean(dim=1, keepdim=True)
    code = (mean - mean.mean(dim=1, keepdim=True)) / mean.std(dim=1, keepdim=True)
    return code * (1 - sigma.square()).sqrt()


def _kernels(weights: Weights, code: Tensor) -> Tensor:
    """The flow, run inverse: (B, 361, H, W) -> the same."""
    y = code.movedim(1, -1)
    for number in range(8, -1, -2):
        norm = {part: weights[f'flow.net.{number + 1}.{part}'] for part in ('log_gamma', 'beta')}
        running = {part: weights[f'flow.net.{number + 1}.running_{part}'] for part in ('mean', 'var')}
        y = (y - norm['beta']) * (-norm['log_gamma']).exp() * (running['var'] + 1e-5).sqrt() + running['mean']
        mask = weights[f'flow.net.{number}.mask']
        nets = {}
        for net, activation in (('s_net', torch.tanh), ('t_net', torch.relu)):
            inner = mask * y
            for layer in (0, 2, 4):
                prefix = f'flow.net.{number}.{net}.{layer}'
                inner = F.linear(inner, weights[f'{prefix}.weight'], weights[f'{prefix}.bias'])
                inner = inner if layer == 4 else activation(inner)
            nets[net] = inner
        y = mask * y + (1 - mask) * (y * nets['s_net'].exp() + nets['t_net'])
    alpha = weights['flow.alpha']
    return ((y.sigmoid() - alpha) / (1 - 2 * alpha) * weights['flow.normalization']).movedim(-1, 1)


def _layer_norm(weights: Weights, name: str, x: Tensor) -> Tensor:
    variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
    scale, shift = (weights[f'{name}.{part}'][:, None, None] for part in ('weight', 'bias'))
    return (x - mean) / (variance + 1e-6).sqrt() * scale + shift


def _gate(x: Tensor) -> Tensor:
    first, second = x.chunk(2, dim=1)
    return first * second


def _naf_block(weights: Weights, name: str, x: Tensor, z: Tensor) -> Tensor:
    """`z` is what the first half sees; plain blocks see x."""
    inner = _conv(weights, f'{name}.conv1', _layer_norm(weights, f'{name}.norm1', z))
    inner = _gate(_conv3(weights, f'{name}.conv2', inner, groups=inner.shape[1]))
    inner = inner * _conv(weights, f'{name}.sca.1', inner.mean(dim=(2, 3), keepdim=True))
    x = x + weights[f'{name}.beta'] * _conv(weights, f'{name}.conv3', inner)
    inner = _gate(_conv(weights, f'{name}.conv4', _layer_norm(weights, f'{name}.norm2', x)))
    return x + weights[f'{name}.gamma'] * _conv(weights, f'{name}.conv5', inner)


def _attended(weights: Weights, name: str, x: Tensor, kernels: Tensor) -> Tensor:
    a = F.gelu(_conv3(weights, f'{name}.conv_1.0', x))
    g = F.gelu(_conv3(weights, f'{name}.conv_kernel.0', kernels))
    g = F.gelu(_conv3(weights, f'{name}.conv_kernel.2', g))
    return x + a * _conv3(weights, f'{name}.conv_2.0', torch.cat((a, g), dim=1)).sigmoid()


def plain_ufpnet(weights: Weights, image: Tensor, *, encoder_blocks: list[int], decoder_blocks: list[int]) -> Tensor:
    """(B, 3, H, W), sides above the padding -> the restored image, not clipped."""
    height, width = image.shape[2:]
    multiple = 2 ** len(encoder_blocks)
    padded = F.pad(image, (0, -width % multiple, 0, -height % multiple), mode='reflect')
    kernels = _kernels(weights, _code(weights, padded))
    x, skips = _conv3(weights, 'intro', padded), []
    for level, blocks in enumerate(encoder_blocks):
        for block in range(blocks):
            name = f'encoders.{level}.{block}'
            z = _attended(weights, f'{name}.kernel_atttion', x, kernels) if blocks == 1 else x
            x = _naf_block(weights, name, x, z)
        if blocks == 1:
            kernels = _conv(weights, f'kernel_down.{level}', kernels, stride=2)
        skips.append(x)
        x = _conv(weights, f'downs.{level}', x, stride=2)
    x = _naf_block(weights, 'middle_blks.0', x, x)
    for level, blocks in enumerate(decoder_blocks):
        x = F.pixel_shuffle(_conv(weights, f'ups.{level}.0', x), 2) + skips.pop()
        for block in range(blocks):
            name = f'decoders.{level}.{block}'
            x = _naf_block(weights, name, x, x)
    return (_conv3(weights, 'ending', x) + padded)[:, :, :height, :width]

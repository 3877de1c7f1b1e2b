"""UFPNet's encoder without gradient: the kernels, 361 channels, are made and used strip by strip."""

from typing import Any

from torch import Tensor

from ..encoders.kernel_estimator import KERNEL_TAPS, KernelEstimator
from ..encoders.ufpnet import UFPNetEncoder
from ..layers import channels_last
from .blocks import Runner
from .flow_prior import flow_prior
from .strips import Crop, MapsAndSums, over_strips

ESTIMATOR_HALO = 2  # rows around a position that the estimator's heads see


def ufpnet_encoder(encoder: UFPNetEncoder, image: Tensor, *, run: Runner) -> tuple[Tensor, ...]:
    """``encoder(image)``."""
    image = channels_last(image)
    summaries = _summaries(encoder, _estimated(encoder.kernel_extra, image, run))
    features = []
    blocks: Any
    x = encoder.intro(image)
    for level, (blocks, down) in enumerate(zip(encoder.encoders, encoder.downs)):
        condition = summaries[level : level + 1]  # for the conditioned levels, which come first
        for block in blocks:
            x = run(block, x, *condition, level=level)
        features.append(x)
        x = down(x)
    for block in encoder.middle_blks:
        x = run(block, x, level=len(features))
    return (*features, x)


def _estimated(estimator: KernelEstimator, image: Tensor, run: Runner) -> Tensor:
    """``estimator.features(image)``."""
    skip1, x = run(estimator.Encoding_Block1, image, level=0)
    skip2, x = run(estimator.Encoding_Block2, x, level=1)
    x = run(estimator.Decoding_Block1, estimator.Conv_mid(x), skip2, level=1)
    del skip2
    return run(estimator.Decoding_Block2, x, skip1, level=0)


def _summaries(encoder: UFPNetEncoder, source: Tensor) -> list[Tensor]:
    """What the conditioned blocks need of the blur kernels, finest level first, of the estimator's features."""
    halo = ESTIMATOR_HALO
    summaries = []
    for level in encoder.conditioned:
        blocks: Any = encoder.encoders[level]
        block = blocks[0]
        down = dict(encoder.kernel_down.items()).get(str(level))  # kernels travel down no further

        def condense(crop: Crop, source: Tensor, level: int = level, block=block, down=down) -> MapsAndSums:
            # With noise, two strips draw the rows that both of them see anew; that is noise of the same kind.
            kernels = source
            if level == 0:
                kernels = flow_prior(encoder.flow, encoder.kernel_extra.code(source, noise=encoder.code_noise))
            summary = crop(block.summary(kernels))
            return ((summary,) if down is None else (summary, down(crop(kernels)))), ()

        (summary, *coarser), _ = over_strips(condense, [source], halo=1 + halo, channels=KERNEL_TAPS)
        summaries.append(summary)
        source, halo = (*coarser, source)[0], 0
    return summaries

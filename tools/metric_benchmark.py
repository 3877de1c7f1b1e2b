"""Time of SSIM at 1280x720 against BasicSR's, measured in one run: python -m tools.metric_benchmark"""

import argparse
import statistics
import time
from collections.abc import Sequence
from typing import Optional

import cv2
import numpy as np

from aibnet_arch.basicsr_patches.functional_tensor import provide_functional_tensor
from aibnet_arch.metrics import calculate_ssim_2d, calculate_ssim_3d


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Print the medians, the ratio and the difference in value."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--repeats', type=int, default=7, help='default: %(default)s')
    repeats = parser.parse_args(argv).repeats
    provide_functional_tensor()
    from basicsr.metrics import calculate_ssim

    rng = np.random.default_rng(0)
    sharp = cv2.resize(rng.integers(0, 256, (90, 160, 3), dtype=np.uint8), (1280, 720), interpolation=cv2.INTER_CUBIC)
    other = np.clip(cv2.GaussianBlur(sharp, (0, 0), 1.5) + rng.normal(0, 3, sharp.shape), 0, 255).astype(np.uint8)
    functions = {
        'BasicSR': lambda: calculate_ssim(sharp, other, crop_border=0),
        '2-D': lambda: calculate_ssim_2d(sharp, other),
        '3-D': lambda: calculate_ssim_3d(sharp, other),
    }
    times: dict[str, list[float]] = {name: [] for name in functions}
    values = {}
    for _ in range(repeats):
        for name, function in functions.items():
            start = time.perf_counter()
            values[name] = function()
            times[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(samples) for name, samples in times.items()}
    for name, median in medians.items():
        print(f'{name:8}{1000 * median:8.1f} ms{medians["BasicSR"] / median:6.2f} times as fast  {values[name]:.6f}')
    print(f'difference of 2-D to BasicSR: {abs(values["2-D"] - values["BasicSR"]):.1e}')


if __name__ == '__main__':
    main()

"""A study's networks tested in tiles of the size of their training crops, for docs/ablations.md.

    python -m tools.tiled_study studies/small --base AIBNet-S

Started where the study was. Networks whose layers look at the whole picture change with its size: in tiles of the size
they were trained with, what they learnt is compared without that. Prints the PSNR of each finished run, and differences
to the base, paired by seed. Half a minute a network on one core.
"""

import argparse
import json
import math
import statistics
from pathlib import Path

import torch

from aibnet_arch.blurmap.baselines import OtherNetwork
from aibnet_arch.commands.main import prepare
from aibnet_arch.config.option_file import load_option_file
from aibnet_arch.inference.tiles import restore_in_tiles


def psnr(opt: dict, weights: Path, *, size: int, overlap: int) -> float:
    """Mean over the validation pictures of an option file, in dB."""
    from basicsr.data.paired_image_dataset import PairedImageDataset  # once BasicSR is mended
    from basicsr.metrics import calculate_psnr
    from basicsr.utils import tensor2img

    network = OtherNetwork(weights, param_key='params', device=torch.device('cpu'))
    values = []
    for sample in PairedImageDataset({**opt['datasets']['val'], 'phase': 'val', 'scale': 1}):
        with torch.no_grad():
            restored = restore_in_tiles(network, sample['lq'][None], size=size, overlap=overlap)
        values.append(calculate_psnr(tensor2img(restored), tensor2img(sample['gt'][None]), crop_border=0))
    return statistics.mean(values)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('study', type=Path, help='folder of the study')
    parser.add_argument('--base', required=True, metavar='NAME')
    parser.add_argument('--size', type=int, default=48)
    parser.add_argument('--overlap', type=int, default=16)
    args = parser.parse_args()
    prepare()
    found: dict[str, dict[int, float]] = {}
    for path in sorted(args.study.glob('runs/*/result.json')):
        result, name = json.loads(path.read_text()), path.parent.name
        opt = load_option_file(path.with_name('options.yml'))
        weights = args.study / 'experiments' / name / 'models/net_g_latest.pth'
        value = psnr(opt, weights, size=args.size, overlap=args.overlap)
        found.setdefault(result['entry'], {})[result['seed']] = value
        print(f'{name}: {value:.3f} dB', flush=True)
    for name, values in found.items():
        if name != args.base:
            differences = [value - found[args.base][seed] for seed, value in values.items()]
            error = statistics.stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
            print(f'{name} - {args.base}: {statistics.mean(differences):+.3f} ± {error:.3f}')


if __name__ == '__main__':
    main()

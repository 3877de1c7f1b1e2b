"""A tiny training for trials: a dataset, options, and what came out."""

import logging
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch

from datasets_prep.lmdb_writer import write_pairs
from datasets_prep.pairs import Pair

NETWORK = {
    'type': 'AIBNet',
    'encoder': 'nafnet',
    'width': 8,
    'encoder_blocks': [1, 1, 1, 1],
    'num_sub_decoders': 2,
    'blocks_per_level': 1,
    'freeze_encoder': False,
}
METRICS = {'psnr': {'type': 'calculate_psnr', 'crop_border': 0, 'test_y_channel': False}}


def make_dataset(root: Path, *, train: int = 10, val: int = 2, size: int = 40) -> None:
    """Smooth random pictures and a noisy version of them as LMDB pairs below `root`/data."""
    rng = np.random.default_rng(0)

    def pair(number: int) -> Pair:
        rows, columns = np.mgrid[:size, :size] / size
        waves = [np.sin(rng.uniform(2, 9) * rows + rng.uniform(2, 9) * columns) for _ in range(3)]
        sharp = np.clip(127 + 90 * np.stack(waves, axis=-1), 0, 255)
        return Pair(
            f'p{number}',
            np.clip(sharp + rng.normal(0, 12, sharp.shape), 0, 255).astype(np.uint8),
            sharp.astype(np.uint8),
        )

    for name, count in (('train', train), ('val', val)):
        folder = root / 'data' / name
        write_pairs([pair(n) for n in range(count)], folder / 'lq.lmdb', folder / 'gt.lmdb', workers=1, progress=False)


def dataset_options(name: str) -> dict:
    return {
        'name': name,
        'type': 'PairedFlipDataset' if name == 'train' else 'PairedImageDataset',
        'dataroot_lq': f'data/{name}/lq.lmdb',
        'dataroot_gt': f'data/{name}/gt.lmdb',
        'io_backend': {'type': 'lmdb'},
    }


def options(**train_changes) -> dict:
    """Options of a two-stage run: 10 pictures, batches of 4, so that an epoch has 2 iterations."""
    return {
        'name': 'run',
        'model_type': 'AIBNetModel',
        'scale': 1,
        'num_gpu': 0,
        'manual_seed': 3,
        'datasets': {
            'train': {
                **dataset_options('train'),
                'gt_size': 32,
                'use_hflip': True,
                'use_vflip': True,
                'use_rot': False,
                'num_worker_per_gpu': 0,
                'batch_size_per_gpu': 4,
            },
            'val': dataset_options('val'),
        },
        'network_g': deepcopy(NETWORK),
        'path': {},
        'train': {
            'stage_iter': [5, 4],
            'total_iter': 9,
            'optim_g': {'type': 'Adam', 'lr': 2e-3, 'betas': [0.9, 0.999]},
            'scheduler': {'type': 'CosineAnnealingRestartLR', 'eta_min': 1e-7},
            'pixel_opt': {'type': 'AIBNetLoss'},
            **train_changes,
        },
        'val': {'val_freq': 3, 'save_img': False, 'metrics': deepcopy(METRICS)},
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 1, 'keep_checkpoints': None, 'use_tb_logger': False},
    }


def reset_logger() -> None:
    """BasicSR opens its log file once in a process; a second run needs a second one."""
    from aibnet_arch.basicsr_patches.functional_tensor import provide_functional_tensor

    provide_functional_tensor()
    from basicsr.utils.logger import initialized_logger

    initialized_logger.clear()
    logger = logging.getLogger('basicsr')
    for handler in list(logger.handlers):
        handler.close()
        logger.removeHandler(handler)


def weights(root: Path, iteration, key: str = 'params', name: str = 'run') -> dict:
    path = root / 'experiments' / name / 'models' / f'net_g_{iteration}.pth'
    return torch.load(path, weights_only=True)[key]


def assert_equal_weights(first: dict, second: dict, prefix: str = '') -> None:
    """Bit-identical, for the keys with this prefix."""
    keys = [key for key in first if key.startswith(prefix)]
    assert keys
    assert [key for key in second if key.startswith(prefix)] == keys
    different = [key for key in keys if not torch.equal(first[key], second[key])]
    assert not different, different

"""BasicSR's paired dataset with vertical flips of their own."""

import random

import torch
from basicsr.data.paired_image_dataset import PairedImageDataset


class PairedFlipDataset(PairedImageDataset):
    """PairedImageDataset that can also flip vertically.

    The paper flips horizontally and vertically (Section 4.1.1). BasicSR couples vertical flips with
    transposing in `use_rot`; here `use_vflip` stands beside `use_hflip`.
    """

    def __getitem__(self, index: int) -> dict:
        sample = super().__getitem__(index)
        if self.opt['phase'] == 'train' and self.opt['use_vflip'] and random.random() < 0.5:
            sample['lq'] = torch.flip(sample['lq'], dims=(1,))
            sample['gt'] = torch.flip(sample['gt'], dims=(1,))
        return sample

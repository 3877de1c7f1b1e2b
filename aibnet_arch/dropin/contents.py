"""The text of the files that `basicsr dropin` writes."""

import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Optional

SUB_DECODERS = {'S': 1, 'B': 2, 'L': 4}

MODERN_CODE = """\
# Written by `basicsr dropin`; `basicsr dropin CHECKOUT --undo` removes it. Needs the package aibnet-basicsr.
# BasicSR imports each file *_model.py of this folder: this one registers AIBNet, its loss, data set and model class.
from aibnet_arch.register import register

register()
"""
OLDER_CODE = """\
# Written by `basicsr dropin`; `basicsr dropin CHECKOUT --undo` removes it. Needs the package aibnet-basicsr.
# BasicSR looks for networks in each file *_arch.py of this folder, and for losses in basicsr.models.losses.
from basicsr.models import losses

from aibnet_arch.dropin import StagedAIBNet as AIBNet  # noqa: F401
from aibnet_arch.losses.aibnet_loss import AIBNetLoss

losses.AIBNetLoss = AIBNetLoss
"""
_OPTIONS = Path(__file__).parent / 'template' / 'options.yml'
_ITERATIONS = 400_000
_ENCODER = 'weights/UFPNet-GoPro.pth   # train_on_GoPro of https://github.com/Fangzhenxuan/UFPDeblur'

# What the option files of each kind of checkout have of their own.
MODERN = {
    'model': 'AIBNetModel',
    'training_pairs': 'PairedFlipDataset',
    'pairs': 'PairedImageDataset',
    'loading': """\
    use_hflip: true
    use_vflip: true
    use_rot: false                # would also transpose
""",
    'training': '  strategy: progressive\n',
}
NAFNET = {
    'model': 'ImageRestorationModel',
    'training_pairs': 'PairedImageDataset',
    'pairs': 'PairedImageDataset',
    'loading': """\
    use_flip: true
    use_rot: true                 # vertical flips; and transposing, which the paper does not
""",
    'training': '  use_grad_clip: false            # otherwise their code clips the gradients to 0.01\n',
}
RESTORMER = {
    'model': 'ImageCleanModel',
    'training_pairs': 'Dataset_PairedImage',
    'pairs': 'Dataset_PairedImage',
    'loading': f"""\
    geometric_augs: true          # flips; and transposing, which the paper does not
    mini_batch_sizes: [32]        # one phase of one patch size; the number as in batch_size_per_gpu
    iters: [{_ITERATIONS}]
    gt_sizes: [256]
""",
    'training': """\
  use_grad_clip: false            # otherwise their code clips the gradients to 0.01
  mixing_augs:
    mixup: false
""",
}


def option_text(
    blocks: Mapping[str, str], *, name: str, path: str, variant: str, stage: Optional[int], data: str
) -> str:
    """The text of an option file.

    Args:
        blocks: MODERN, NAFNET or RESTORMER.
        variant: 'S', 'B' or 'L'.
        stage: the one that it trains, k; None: all of them, one after the other.
        data: folder of the data set, as seen from the checkout.
    """
    roots = {'blurred': 'train/blur_crops', 'sharp': 'train/sharp_crops'}
    roots.update(val_blurred='val/input', val_sharp='val/target')
    fields: dict[str, object] = {
        key: json.dumps(f'{data}/{root}.lmdb', ensure_ascii=False) for key, root in roots.items()
    }
    count = SUB_DECODERS[variant]
    fields.update(blocks, name=name, path=path, variant=variant, count=count)
    fields.update(weights='', stage='', periods='', total=_ITERATIONS)
    if stage is None:
        fields['weights'] = f'  pretrain_network_encoder: {_ENCODER}\n'
        fields['training'] = blocks['training'] + f'  stage_iter: {[_ITERATIONS] * count}\n'
        fields['total'] = _ITERATIONS * count
    else:
        before = f'experiments/AIBNet-{variant}_stage{stage - 1}/models/net_g_latest.pth'
        starts_from = f'encoder_weights: {_ENCODER}' if stage == 1 else f'earlier_stages: {before}'
        fields['stage'] = f'  stage: {stage}                        # the parts before it are frozen\n  {starts_from}\n'
        fields['periods'] = f'    periods: [{_ITERATIONS}]\n'
    return Template(_OPTIONS.read_text(encoding='utf-8')).substitute(fields)

"""The text of the files that `basicsr dropin` writes."""

import json
from collections.abc import Mapping
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


_OPTIONS = Template("""\
# AIBNet-$variant on GoPro with the settings of its paper. Written by `basicsr dropin`; --undo removes it.
#   PYTHONPATH=. python basicsr/train.py -opt $path
# Copy this file before you change it: --undo removes only files that are as they were written.

name: $name
model_type: $model
scale: 1
num_gpu: 1                        # 0: the CPU
manual_seed: 10

datasets:
  train:
    name: GoPro
    type: $training_pairs
    dataroot_lq: $blurred
    dataroot_gt: $sharp
    filename_tmpl: '{}'
    io_backend:
      type: lmdb
    gt_size: 256
    num_worker_per_gpu: 8
    batch_size_per_gpu: 32        # 32 in all: with N processes write 32 / N; at least 2
$loading    dataset_enlarge_ratio: 1
    prefetch_mode: ~

  val:
    name: GoPro-val
    type: $pairs
    dataroot_lq: $val_blurred
    dataroot_gt: $val_sharp
    io_backend:
      type: lmdb

network_g:
  type: AIBNet
$stage  encoder: ufpnet                 # or nafnet
  width: 64
  encoder_blocks: [1, 1, 1, 28]
  middle_blocks: 1
  num_sub_decoders: $count
  blocks_per_level: 8
  num_masks: 4
  heads: 1
  freeze_encoder: true            # false: the encoder trains too, with the first sub-decoder

path:
$weights  pretrain_network_g: ~
  strict_load_g: true
  resume_state: ~

train:
$training  total_iter: $total
  warmup_iter: -1
  optim_g:
    type: Adam
    lr: !!float 2e-4
    weight_decay: 0
    betas: [0.9, 0.999]
  scheduler:
    type: CosineAnnealingRestartLR
$periods    eta_min: !!float 1e-7
  pixel_opt:
    type: AIBNetLoss              # Eq. (7)
    charbonnier_weight: 1.0
    edge_weight: 0.05
    frequency_weight: 0.1
    eps: !!float 1e-3

val:
  val_freq: 20000
  save_img: false
  metrics:
    psnr:
      type: calculate_psnr
      crop_border: 0
      test_y_channel: false

logger:
  print_freq: 200
  save_checkpoint_freq: 5000
  use_tb_logger: true
  wandb:
    project: ~
    resume_id: ~

dist_params:
  backend: nccl
  port: 29500
""")
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
    roots = {
        'blurred': 'train/blur_crops',
        'sharp': 'train/sharp_crops',
        'val_blurred': 'val/input',
        'val_sharp': 'val/target',
    }
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
    return _OPTIONS.substitute(fields)

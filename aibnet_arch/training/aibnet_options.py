"""What :class:`.AIBNetModel` itself checks of its options, before anything is loaded or created."""

import os
import warnings
from collections.abc import Iterator

import torch

from ..errors import CheckpointError
from ..inference.restorer import InferenceSettings
from ..modeling import AIBNet
from ..weights.pretrained import load_encoder, load_stages
from .settings import TrainingSettings
from .stage_plan import StagePlan


def check_options(opt: dict) -> Iterator[str]:
    """What is wrong with the options of this class, a message each. Nothing is loaded or created."""
    path, train, network = opt['path'], opt.get('train'), opt['network_g']
    try:
        with torch.device('meta'):  # no memory and no random numbers
            net = AIBNet(**{key: value for key, value in network.items() if key != 'type'})
    except (ValueError, TypeError):
        return  # pre-flight has told it
    settings = InferenceSettings.from_options(opt.get('val'))
    yield from settings.problems(num_sub_decoders=network.get('num_sub_decoders', 1))
    if train is None:
        return
    yield from TrainingSettings.from_options(train).problems()
    try:
        plan = StagePlan.from_options(opt)
    except ValueError as error:
        yield str(error)
        return
    stages = path.get('pretrain_network_stages')
    if plan.trained_before and not stages:
        yield (
            f'train.stage_iter starts with {plan.trained_before} stage(s) of 0 iterations: '
            'path.pretrain_network_stages must name the checkpoint that holds them'
        )
    if stages and not plan.trained_before:
        yield 'path.pretrain_network_stages is given, but no stage of train.stage_iter is 0: nothing would use it'
    has_weights = path.get('pretrain_network_g') or path.get('resume_state') or opt.get('auto_resume') or stages
    encoder = path.get('pretrain_network_encoder')
    for key, load in (('encoder', load_encoder), ('stages', load_stages)):
        file = path.get(f'pretrain_network_{key}')
        if file and (key == 'encoder' or os.path.isfile(os.path.expanduser(file))):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')  # that nothing is copied is what we want
                    load(net, file)
            except CheckpointError as error:
                yield f'path.pretrain_network_{key}: {error}'
    if not encoder and not has_weights and network.get('freeze_encoder', True):
        yield (
            'network_g.freeze_encoder is true, but no weights are given, so the encoder would stay random: '
            'set path.pretrain_network_encoder, or network_g.freeze_encoder: false to train it in stage 1'
        )
    if train.get('perceptual_opt'):
        yield 'train.perceptual_opt: AIBNetModel knows the loss of Eq. (7) alone; give it as train.pixel_opt'
    if not train.get('pixel_opt'):
        yield 'train.pixel_opt is missing, e.g. {type: AIBNetLoss}'
    scheduler = train.get('scheduler') or {}
    periods = scheduler.get('periods')
    if periods and sum(periods) < max(plan.lengths):
        yield (
            f'train.scheduler.periods {list(periods)} end before the longest stage ({max(plan.lengths)} '
            'iterations); leave them out for one period a stage'
        )
    loading = opt.get('datasets', {}).get('train', {})
    batches = {key: loading.get(key) for key in ('batch_size_per_gpu', 'mini_batch_sizes')}
    for key, sizes in batches.items():
        if network.get('hfs_block', True) and (sizes == 1 or (isinstance(sizes, list) and 1 in sizes)):
            yield (
                f'datasets.train.{key}: 1: AIBNet needs at least 2 images per process in training (batch norm of '
                'the Decoupler in HFSBlock sees one value per channel and image)'
            )

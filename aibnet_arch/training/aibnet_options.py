"""What :class:`.AIBNetModel` itself checks of its options, before anything is loaded or created."""

import os
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from ..config.problems import Problem, problem
from ..errors import CheckpointError
from ..inference.restorer import InferenceSettings
from ..modeling import AIBNet
from ..weights.pretrained import load_encoder, load_stages
from .frozen_cache import check_frozen_cache
from .settings import TrainingSettings
from .stage_plan import StagePlan

# What a plan of stages is made of.
PLAN = (('train', 'total_iter'), ('train', 'strategy'), ('train', 'stage_iter'), ('network_g', 'num_sub_decoders'))


def check_options(opt: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with the options of this class. Nothing is created; files of weights are read and compared.

    Args:
        opt: the options; what is known to be wrong has been left out.
    """
    network, train = opt.get('network_g'), opt.get('train')
    settings = InferenceSettings.from_options(opt.get('val'))
    stages_of_network = network.get('num_sub_decoders', 1) if network else settings.up_to or 1
    yield from (Problem((), text) for text in settings.problems(num_sub_decoders=stages_of_network))
    if train is None:
        return
    yield from (Problem((), text) for text in TrainingSettings.from_options(train).problems())
    if train.get('perceptual_opt'):
        text = 'AIBNetModel knows the loss of Eq. (7) alone; give it as train.pixel_opt'
        yield problem('train.perceptual_opt', text)
    if network is None:
        return
    yield from _check_plan(opt, train)
    loading = opt.get('datasets', {}).get('train') or {}
    for key in ('batch_size_per_gpu', 'mini_batch_sizes'):
        sizes = loading.get(key)
        if network.get('hfs_block', True) and (sizes == 1 or (isinstance(sizes, list) and 1 in sizes)):
            yield problem(
                f'datasets.train.{key}',
                '1: AIBNet needs at least 2 images per process in training (batch norm of the Decoupler in HFSBlock '
                'sees one value per channel and image)',
                spoils=(('network_g', 'hfs_block'),),
            )
    with torch.device('meta'):  # no memory and no random numbers
        net = AIBNet(**{key: value for key, value in network.items() if key != 'type'})
    yield from _check_pretrained(opt, net)
    yield from check_frozen_cache(opt, net)


def _check_plan(opt: Mapping[str, Any], train: Mapping[str, Any]) -> Iterator[Problem]:
    """The stages, their schedule and their weights."""
    if 'total_iter' not in train:
        return
    try:
        plan = StagePlan.from_options(dict(opt))
    except ValueError as error:
        yield Problem((), str(error), spoils=PLAN)
        return
    stages = opt['path'].get('pretrain_network_stages')
    if plan.trained_before and not stages:
        yield Problem(
            (),
            f'train.stage_iter starts with {plan.trained_before} stage(s) of 0 iterations',
            ': path.pretrain_network_stages must name the checkpoint that holds them',
            spoils=(*PLAN, ('path', 'pretrain_network_stages')),
        )
    if stages and not plan.trained_before:
        text = 'is given, but no stage of train.stage_iter is 0: nothing would use it'
        yield Problem(('path', 'pretrain_network_stages'), text, joint=' ', spoils=PLAN)
    periods = (train.get('scheduler') or {}).get('periods')
    if periods and sum(periods) < max(plan.lengths):
        yield problem(
            'train.scheduler.periods',
            f'{list(periods)} end before the longest stage ({max(plan.lengths)} iterations)',
            '; leave them out for one period a stage',
        )


def _check_pretrained(opt: Mapping[str, Any], net: AIBNet) -> Iterator[Problem]:
    """The files of the encoder's weights and of former stages."""
    path = opt['path']
    encoder, stages = path.get('pretrain_network_encoder'), path.get('pretrain_network_stages')
    for key, file, load in (('encoder', encoder, load_encoder), ('stages', stages, load_stages)):
        if file and (key == 'encoder' or os.path.isfile(os.path.expanduser(file))):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter('ignore')  # that nothing is copied is what we want
                    load(net, file)
            except CheckpointError as error:
                place = ('path', f'pretrain_network_{key}')
                yield Problem(place, str(error), spoils=(place, ('network_g',)))
    has_weights = path.get('pretrain_network_g') or path.get('resume_state') or opt.get('auto_resume') or stages
    if not encoder and not has_weights and net.freeze_encoder:
        yield Problem(
            ('network_g', 'freeze_encoder'),
            'is true, but no weights are given, so the encoder would stay random',
            ': set path.pretrain_network_encoder, or network_g.freeze_encoder: false to train it in stage 1',
            joint=' ',
            spoils=(('network_g', 'freeze_encoder'), ('path', 'pretrain_network_encoder')),
        )

"""The option files that the repository ships."""

import inspect
from pathlib import Path

import pytest

from aibnet_arch import AIBNet
from aibnet_arch.config.option_file import load_option_file
from aibnet_arch.registries.other_networks import OTHER_NETWORKS
from aibnet_arch.training.stage_plan import StagePlan

OPTIONS = Path(__file__).parent.parent / 'options'
TRAIN = sorted(OPTIONS.glob('AIBNet*.yml'))
TEST = sorted((OPTIONS / 'test').glob('AIBNet*.yml'))
OTHERS = [OPTIONS / folder / f'{name}_GoPro.yml' for folder in ('', 'test') for name in ('NAFNet', 'Restormer')]
STUDY = sorted((OPTIONS / 'ablation').glob('*/*.yml'))
SMALL = ('AIBNet_demo', 'AIBNet_box')  # of sizes of their own
BEYOND_THE_PAPER = ('RSBlur', 'ReLoBlur', 'REDS', 'BSD-3ms24ms')  # with a file for S alone
SUB_DECODERS = {'S': 1, 'B': 2, 'L': 4}


def flat(value, before=''):
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in flat(item, f'{before}{key}.').items()}
    return {before[:-1]: value}


def test_there_is_one_for_each_variant_and_dataset():
    trained, tested = (
        {f'AIBNet-{variant}_{data}.yml' for variant in SUB_DECODERS for data in datasets}
        for datasets in (('GoPro', 'RealBlur-J', 'RealBlur-R'), ('GoPro', 'HIDE', 'RealBlur-J', 'RealBlur-R'))
    )
    small = {f'AIBNet-S_{data}.yml' for data in BEYOND_THE_PAPER}
    assert trained | small | {'AIBNet_demo.yml', 'AIBNet_box.yml', 'AIBNet-S_folder_pair.yml'} == {
        path.name for path in TRAIN
    }
    assert tested | small | {'AIBNet_demo.yml'} == {path.name for path in TEST}
    plan = [OPTIONS / 'ablation' / name for name in ('study.yml', 'long.yml')]
    assert sorted(OPTIONS.rglob('*.yml')) == sorted(TRAIN + TEST + OTHERS + STUDY + plan)


@pytest.mark.parametrize('path', TRAIN + TEST, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_networks_can_be_built_and_plans_made(path):
    import torch

    opt = load_option_file(path)
    network = dict(opt['network_g'])
    assert network.pop('type') == 'AIBNet'
    with torch.device('meta'):
        net = AIBNet(**network)
    if path.stem not in SMALL:
        assert len(net.sub_decoders) == SUB_DECODERS[path.stem[7]]
    if 'train' in opt:
        assert len(StagePlan.from_options(opt).lengths) == len(net.sub_decoders)


@pytest.mark.parametrize('path', [p for p in TRAIN if p.stem not in SMALL], ids=lambda path: path.stem)
def test_training_has_the_settings_of_section_4_1(path):
    opt = load_option_file(path)
    train, data = opt['train'], opt['datasets']['train']
    assert (data['gt_size'], data['batch_size_per_gpu']) == (256, 32)
    assert (data['use_hflip'], data['use_vflip'], data['use_rot']) == (True, True, False)
    adam = {'type': 'Adam', 'lr': 2e-4, 'weight_decay': 0, 'betas': [0.9, 0.999], 'fused': True}
    assert dict(train['optim_g']) == adam
    assert dict(train['scheduler']) == {'type': 'CosineAnnealingRestartLR', 'eta_min': 1e-7}
    assert set(train['stage_iter']) == {400000}
    assert opt['network_g']['blocks_per_level'] == 8
    loss = train['pixel_opt']
    assert (loss['eps'], loss['edge_weight'], loss['frequency_weight']) == (1e-3, 0.05, 0.1)


@pytest.mark.parametrize('paths', [TRAIN, TEST], ids=['train', 'test'])
def test_files_of_one_dataset_differ_in_the_variant_alone(paths):
    for path in paths:
        if not path.stem.startswith('AIBNet-S_') or path.stem.endswith(('folder_pair', *BEYOND_THE_PAPER)):
            continue
        small = flat(load_option_file(path))
        for variant in 'BL':
            other = flat(load_option_file(path.with_name(path.name.replace('-S_', f'-{variant}_'))))
            different = {key for key in small | other if small.get(key) != other.get(key)}
            assert different <= {
                'name',
                'network_g.num_sub_decoders',
                'train.stage_iter',
                'train.total_iter',
                'path.pretrain_network_g',
            }


def test_the_others_have_their_papers_settings():
    naf, restormer = (load_option_file(path) for path in OTHERS[:2])
    assert dict(naf['train']['optim_g']) == {'type': 'AdamW', 'lr': 1e-3, 'weight_decay': 1e-3, 'betas': [0.9, 0.9]}
    assert dict(restormer['train']['optim_g']) == {
        'type': 'AdamW',
        'lr': 3e-4,
        'weight_decay': 1e-4,
        'betas': [0.9, 0.999],
    }
    for opt, total, end, loss in ((naf, 400000, 1e-7, 'PSNRLoss'), (restormer, 300000, 1e-6, 'L1Loss')):
        scheduler = opt['train']['scheduler']
        assert opt['train']['total_iter'] == total == sum(scheduler['periods'])
        assert (scheduler['type'], scheduler['eta_min']) == ('CosineAnnealingRestartLR', end)
        assert opt['train']['pixel_opt']['type'] == loss
        assert opt['train']['grad_clip'] == 0.01
    data = restormer['datasets']['train']
    assert data['gt_sizes'] == [128, 160, 192, 256, 320, 384]
    assert data['mini_batch_sizes'] == [64, 40, 32, 16, 8, 8]
    assert [sum(data['iters'][:n]) for n in range(1, 7)] == [92000, 156000, 204000, 240000, 276000, 300000]
    data = naf['datasets']['train']
    assert (data['gt_size'], data['batch_size_per_gpu'], data['use_rot']) == (256, 32, True)


@pytest.mark.parametrize('path', OTHERS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_the_others_train_and_test_on_the_data_of_aibnet(path):
    opt, own = load_option_file(path), load_option_file(path.with_name('AIBNet-S_GoPro.yml'))
    for phase, dataset in own['datasets'].items():
        for key in ('dataroot_lq', 'dataroot_gt', 'io_backend'):
            assert opt['datasets'][phase][key] == dataset[key]
    assert opt['val']['metrics'] == own['val']['metrics']
    network = OTHER_NETWORKS[opt['network_g']['type']]
    published = inspect.signature(network.cls()).bind(**network.arguments)
    published.apply_defaults()
    assert {**published.arguments, **opt['network_g']} == {**published.arguments, 'type': opt['network_g']['type']}


@pytest.mark.parametrize('path', TRAIN + TEST + OTHERS, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_no_path_leaves_the_current_directory(path):
    for key, value in flat(load_option_file(path)).items():
        if isinstance(value, str) and '/' in value:
            assert not value.startswith(('/', '~', '..')), key

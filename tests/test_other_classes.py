"""Pre-flight and training with networks, model classes, datasets and losses that are not AIBNet's."""

import importlib
import linecache
import sys
from pathlib import Path

import pytest

from aibnet_arch.basicsr_patches.preparation import prepare
from aibnet_arch.config.checks.keys import check_keys, reads_by
from aibnet_arch.config.checks.required import required_keys
from aibnet_arch.config.checks.source import reads_of
from aibnet_arch.config.option_file import load_option_file
from tests.training import log_of, make_dataset, options, run

OPTIONS = Path(__file__).parent.parent / 'options'
PLUGIN = """
from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.models.sr_model import SRModel
from torch import nn


class OtherNetwork(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, x):
        return x + self.layers(x)


class OtherModel(SRModel):
    KEYS = ('curriculum', 'patience')

    def __init__(self, opt):
        super().__init__(opt)
        self.settings = {key: value for key, value in opt['train'].items() if key.startswith('other_')}
        self.settings.update({key: opt['train'].get(key) for key in self.KEYS})


class OtherDataset(PairedImageDataset):
    def __init__(self, opt):
        super().__init__(opt)
        self.strength = opt['strength']
        self.noise = opt.get('noise', 0)
"""


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Data, and a plugin that is registered."""
    root = tmp_path_factory.mktemp('others')
    make_dataset(root)
    (root / 'other_plugin.py').write_text(PLUGIN)
    prepare()
    from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, MODEL_REGISTRY

    registries = {'OtherNetwork': ARCH_REGISTRY, 'OtherModel': MODEL_REGISTRY, 'OtherDataset': DATASET_REGISTRY}
    sys.path.insert(0, str(root))
    plugin = importlib.import_module('other_plugin')
    for name, registry in registries.items():
        registry.register(getattr(plugin, name))
    yield root
    for name, registry in registries.items():
        del registry._obj_map[name]
    sys.path.remove(str(root))
    del sys.modules['other_plugin']


def other_options(model_type='OtherModel', **train):
    opt = options(**train)
    opt.update(model_type=model_type, network_g={'type': 'OtherNetwork', 'width': 4})
    del opt['train']['stage_iter']
    opt['train'].update(pixel_opt={'type': 'L1Loss'}, total_iter=2)
    opt['train']['scheduler'] = {'type': 'MultiStepLR', 'milestones': [1, 50], 'gamma': 0.5}
    opt['datasets']['train'].update(type='OtherDataset', strength=3)
    del opt['datasets']['train']['use_vflip']
    return opt


def test_another_class_trains_after_the_check_and_its_log_has_a_file(root, monkeypatch):
    """What pre-flight builds must not open BasicSR's log, which it opens once in a process."""
    opt = other_options(curriculum='hard', patience=3, other_thing=1)
    opt['datasets']['train']['noise'] = 5
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    assert 'Start training from epoch: 0' in log_of(root)


@pytest.mark.parametrize('model_type', ['OtherModel', 'SRModel'])
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda opt: opt['train'].update(unknown=1), 'train.unknown: nothing reads this key'),
        (lambda opt: opt['train'].update(ema_decayy=0.9), "did you mean 'ema_decay'?"),
        (lambda opt: opt['train'].update(stage_iter=[2]), 'train.stage_iter: nothing reads this key'),
        (lambda opt: opt['network_g'].update(width='wide'), 'network_g: OtherNetwork cannot be built'),
        (lambda opt: opt['network_g'].update(wdith=4), "OtherNetwork has no such option (did you mean 'width'?)"),
        (lambda opt: opt['datasets']['train'].pop('strength'), 'datasets.train.strength is missing'),
        (lambda opt: opt['datasets']['train'].update(nosie=1), 'datasets.train.nosie: nothing reads this key (did you'),
        (lambda opt: opt['datasets']['train'].pop('use_rot'), 'datasets.train.use_rot is missing'),
        (lambda opt: opt['train']['scheduler'].update(gama=1), 'train.scheduler.gama: MultiStepLR has no such option'),
    ],
)
def test_wrong_options_of_other_classes_are_refused(model_type, change, message, root, monkeypatch, capsys):
    opt = other_options(model_type)
    opt['name'] = 'refused'
    change(opt)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err
    assert not (root / 'experiments/refused').exists()


def test_of_a_class_without_source_nothing_is_refused(root):
    def forget():
        linecache.clearcache()
        for cached in (reads_by, reads_of, required_keys):
            cached.cache_clear()

    module = sys.modules['other_plugin']
    opt = other_options(whatever=1)
    opt['datasets']['train']['whatever'] = 1
    (root / 'other_plugin.py').rename(root / 'away')
    forget()
    try:
        assert list(check_keys(opt, module.OtherModel, {'train': module.OtherDataset})) == []
        assert required_keys(module.OtherDataset, training=True) == ()
    finally:
        (root / 'away').rename(root / 'other_plugin.py')
        forget()


def test_what_datasets_need_is_found_in_their_source():
    prepare()
    from basicsr.utils.registry import DATASET_REGISTRY as DATASETS

    pairs = {'io_backend', 'dataroot_gt', 'dataroot_lq', 'scale'}
    crops = {'gt_size', 'use_hflip', 'use_rot'}
    assert set(required_keys(DATASETS.get('PairedImageDataset'), training=False)) == pairs
    assert set(required_keys(DATASETS.get('PairedImageDataset'), training=True)) == pairs | crops
    assert set(required_keys(DATASETS.get('PairedFlipDataset'), training=True)) == pairs | crops | {'use_vflip'}
    assert set(required_keys(DATASETS.get('FFHQDataset'), training=True)) == {
        'io_backend',
        'dataroot_gt',
        'mean',
        'std',
        'use_hflip',
    }


@pytest.mark.parametrize(
    'path',
    sorted(path for path in OPTIONS.rglob('*.yml') if path.stem != 'study'),  # a plan, which names option files
    ids=lambda path: f'{path.parent.name}/{path.stem}',
)
def test_every_key_of_the_shipped_option_files_is_read(path):
    prepare()
    from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY

    opt = load_option_file(path)
    datasets = {phase: DATASET_REGISTRY.get(dataset['type']) for phase, dataset in opt['datasets'].items()}
    assert list(check_keys(opt, MODEL_REGISTRY.get(opt['model_type']), datasets)) == []

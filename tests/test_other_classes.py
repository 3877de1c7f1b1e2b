"""Pre-flight and training with networks, model classes, datasets and losses that are not AIBNet's."""

import importlib
import re
import sys
from pathlib import Path

import pytest

from aibnet_arch.basicsr_patches.preparation import prepare
from aibnet_arch.config.checks.misspelled_keys import check_keys
from aibnet_arch.config.checks.sections import given_sections
from aibnet_arch.config.option_file import load_option_file
from aibnet_arch.config.schema.declared import keys_of_dataset, keys_of_model, needed_when
from tests.training import log_of, make_dataset, options, run

OPTIONS = Path(__file__).parent.parent / 'options'
LOADING = {'name', 'type', 'batch_size_per_gpu', 'num_worker_per_gpu'}
PLUGIN = """
from typing import Optional

from basicsr.data.paired_image_dataset import PairedImageDataset
from basicsr.models.sr_model import SRModel
from pydantic import BaseModel, Field
from torch import nn


class OtherNetwork(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 3, padding=1))

    def forward(self, x):
        return x + self.layers(x)


class OtherTrain(BaseModel):
    curriculum: str = Field('easy', description='how hard the samples are')
    patience: Optional[int] = None
    other_thing: Optional[float] = None


class OtherDatasetOptions(BaseModel):
    strength: float
    noise: float = 0


class OtherModel(SRModel):
    OPTIONS = {'train': OtherTrain}
    KEYS = ('curriculum', 'patience')

    def __init__(self, opt):
        super().__init__(opt)
        self.settings = {key: value for key, value in opt['train'].items() if key.startswith('other_')}
        self.settings.update({key: opt['train'].get(key) for key in self.KEYS})


class OtherDataset(PairedImageDataset):
    OPTIONS = OtherDatasetOptions

    def __init__(self, opt):
        super().__init__(opt)
        self.strength = opt['strength']
        self.noise = opt.get('noise', 0)


class SilentModel(OtherModel):
    pass


class SilentDataset(OtherDataset):
    pass
"""


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Data, and a plugin that is registered."""
    root = tmp_path_factory.mktemp('others')
    make_dataset(root)
    (root / 'other_plugin.py').write_text(PLUGIN)
    prepare()
    from basicsr.utils.registry import ARCH_REGISTRY, DATASET_REGISTRY, MODEL_REGISTRY

    registries = {
        'OtherNetwork': ARCH_REGISTRY,
        'OtherModel': MODEL_REGISTRY,
        'OtherDataset': DATASET_REGISTRY,
        'SilentModel': MODEL_REGISTRY,
        'SilentDataset': DATASET_REGISTRY,
    }
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


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda opt: opt['train'].update(patience='long'), "train.patience: 'long': "),
        (lambda opt: opt['datasets']['train'].update(noise='loud'), "datasets.train.noise: 'loud': "),
        (
            lambda opt: opt['train'].update(curiculum='hard'),
            "train.curiculum: nothing reads this key (did you mean 'cu",
        ),
    ],
)
def test_what_a_class_declares_is_checked_like_our_own(change, message, root, monkeypatch, capsys):
    opt = other_options()
    change(opt)
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == 2
    assert message in capsys.readouterr().err


def silent_options(**train):
    """Options of classes that derive from those that declare their keys, and declare none themselves."""
    opt = other_options('SilentModel', **train)
    opt['datasets']['train']['type'] = 'SilentDataset'
    return opt


def test_of_a_class_that_declares_nothing_an_unknown_key_is_a_warning(root, monkeypatch, capsys):
    opt = silent_options(ema_decayy=0.9, curriculum='hard')
    opt['datasets']['train']['nosie'] = 1
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith('basicsr: warning: ')]
    assert len(warnings) == 2
    assert "train.ema_decayy: nothing reads this key (did you mean 'ema_decay'?)" in warnings[0]
    assert "datasets.train.nosie: nothing reads this key (did you mean 'noise'?)" in warnings[1]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda opt: opt['train'].update(ema_decay=2), 'train.ema_decay: 2: expected a number from 0 to below 1'),
        (lambda opt: opt['train'].update(patience='long'), "train.patience: 'long': "),
        (lambda opt: opt['datasets']['train'].update(gt_size='32'), "datasets.train.gt_size: '32'"),
        (lambda opt: opt['datasets']['train'].pop('strength'), 'datasets.train.strength is missing'),
        (lambda opt: opt['datasets']['train'].pop('use_rot'), 'datasets.train.use_rot is missing'),
    ],
)
def test_of_a_class_that_declares_nothing_what_its_bases_declare_is_checked(change, message, root, monkeypatch, capsys):
    opt = silent_options()
    change(opt)
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == 2
    assert message in capsys.readouterr().err


def test_what_datasets_need_is_declared():
    prepare()
    from basicsr.utils.registry import DATASET_REGISTRY as DATASETS

    def needed(name, *, training):
        keys = keys_of_dataset(DATASETS.get(name)).sections['']
        always = {key for key, field in keys.model_fields.items() if field.is_required()}
        of_top = set(needed_when(keys, 'top'))
        return (always | of_top | set(needed_when(keys, 'training') if training else ())) - LOADING

    pairs = {'io_backend', 'dataroot_gt', 'dataroot_lq', 'scale'}
    crops = {'gt_size', 'use_hflip', 'use_rot'}
    assert needed('PairedImageDataset', training=False) == pairs
    assert needed('PairedImageDataset', training=True) == pairs | crops
    assert needed('PairedFlipDataset', training=True) == pairs | crops | {'use_vflip'}
    assert needed('FFHQDataset', training=True) == {'io_backend', 'dataroot_gt', 'mean', 'std', 'use_hflip'}


def test_the_example_of_the_docs_declares_its_keys():
    prepare()
    blocks = re.findall('```python\n(.*?)```', (OPTIONS.parent / 'docs/extending.md').read_text(), re.DOTALL)
    (example,) = (block for block in blocks if 'class CurriculumModel' in block)
    classes: dict = {}
    exec(example, classes)
    model, dataset = keys_of_model(classes['CurriculumModel']), keys_of_dataset(classes['NoisyDataset'])
    assert {'ema_decay', 'curriculum', 'patience'} <= set(model.sections['train'].model_fields)
    assert {'gt_size', 'noise'} <= set(dataset.sections[''].model_fields)
    assert (model.other_keys, dataset.other_keys) == ('error', 'error')


def test_every_class_of_basicsr_declares_its_keys():
    prepare()
    from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY

    silent = [cls.__name__ for _, cls in MODEL_REGISTRY if keys_of_model(cls).other_keys != 'error']
    silent += [cls.__name__ for _, cls in DATASET_REGISTRY if keys_of_dataset(cls).other_keys != 'error']
    assert [name for name in silent if not name.startswith(('Other', 'Silent'))] == []


@pytest.mark.parametrize(
    'path',
    sorted(path for path in OPTIONS.rglob('*.yml') if path.parent.name != 'ablation'),  # plans, which name option files
    ids=lambda path: f'{path.parent.name}/{path.stem}',
)
def test_every_key_of_the_shipped_option_files_is_read(path):
    prepare()
    from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY

    opt = load_option_file(path)
    datasets = {p: keys_of_dataset(DATASET_REGISTRY.get(each['type'])) for p, each in opt['datasets'].items()}
    model = keys_of_model(MODEL_REGISTRY.get(opt['model_type']))
    assert list(check_keys(list(given_sections(opt, model, datasets)))) == []

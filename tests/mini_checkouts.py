"""Miniature checkouts: of the older BasicSR without registries, and of the installed one."""

import importlib.util
import shutil
from pathlib import Path

ARCHS = """
import importlib
from pathlib import Path

MODULES = [importlib.import_module(f'basicsr.models.archs.{path.stem}')
           for path in sorted(Path(__file__).parent.glob('*_arch.py'))]


def define_network(opt):
    name = opt.pop('type')
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))(**opt)
"""
MODEL = '''
import torch
from basicsr.models import losses
from basicsr.models.archs import define_network


class {model}:
    """Builds a network, optimizes what requires a gradient, and knows of nothing else."""

    def __init__(self, opt):
        self.net_g = define_network(dict(opt['network_g']))
        self.net_g.train()
        pixel_opt = dict(opt['train']['pixel_opt'])
        self.cri_pix = getattr(losses, pixel_opt.pop('type'))(**{{k: float(v) for k, v in pixel_opt.items()}})
        trained = [parameter for parameter in self.net_g.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=1e-3, weight_decay=0.1)

    def step(self, lq, gt):
        self.optimizer.zero_grad()
        self.cri_pix(self.net_g(lq), gt).backward()
        self.optimizer.step()
'''
TRAIN = """
import sys
from pathlib import Path

import torch
import yaml
from basicsr.models.image_restoration_model import {model}

for path in sys.argv[2::2]:
    opt = yaml.safe_load(open(path))
    torch.manual_seed(0)
    model = {model}(opt)
    for _ in range(2):
        model.step(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 16, 16))
    folder = Path('experiments', opt['name'], 'models')
    folder.mkdir(parents=True)
    torch.save({{'params': model.net_g.state_dict()}}, folder / 'net_g_latest.pth')
"""


def make_older(folder: Path, *, kind: str) -> None:
    """A checkout like NAFNet's or Restormer's, with a trainer of two steps on noise."""
    model, dataset = {
        'nafnet': ('ImageRestorationModel', 'PairedImageDataset'),
        'restormer': ('ImageCleanModel', 'Dataset_PairedImage'),
    }[kind]
    files = {
        'setup.py': '',
        'basicsr/__init__.py': '',
        'basicsr/train.py': TRAIN.format(model=model),
        'basicsr/data/paired_image_dataset.py': f'class {dataset}:\n    pass\n',
        'basicsr/models/__init__.py': 'from . import image_restoration_model\n',
        'basicsr/models/image_restoration_model.py': MODEL.format(model=model),
        'basicsr/models/archs/__init__.py': ARCHS,
        'basicsr/models/losses/__init__.py': '',
        'options/train/GoPro/NAFNet.yml' if kind == 'nafnet' else 'Motion_Deblurring/Options/Restormer.yml': '',
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def make_modern(folder: Path, *, whole: bool = False) -> None:
    """A checkout of a BasicSR with registries: its outline, or the whole of the installed one."""
    if whole:
        installed = Path(importlib.util.find_spec('basicsr').origin).parent
        shutil.copytree(installed, folder / 'basicsr', ignore=shutil.ignore_patterns('__pycache__'))
        file = folder / 'basicsr/data/degradations.py'  # as in git master
        file.write_text(file.read_text().replace('transforms.functional_tensor import', 'transforms.functional import'))
        (folder / 'setup.py').touch()
        return
    files = {
        'setup.py': '',
        'basicsr/__init__.py': '',
        'basicsr/train.py': '',
        'basicsr/utils/registry.py': 'class Registry:\n    pass\n',
        'basicsr/models/sr_model.py': 'class SRModel:\n    pass\n',
        'options/train/SwinIR/train_SwinIR.yml': '',
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)

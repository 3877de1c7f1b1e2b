"""Mends of upstream faults, made from outside: BasicSR's files stay as they are.

Each function names the fault that it covers and how long it is needed. All of them concern PyPI's
1.4.2 and git master (8d56e3a) alike unless they say otherwise. `apply` runs them all.
"""

import sys
import types
from importlib.machinery import ModuleSpec

import torch

from ..data.order import ScheduledSampler, TracedDataset


def mend_functional_tensor() -> None:
    """`import basicsr` fails with torchvision 0.17 and later.

    Fault: PyPI's 1.4.2 (basicsr/data/degradations.py) imports torchvision.transforms.functional_tensor,
    which is gone. Until: a release on PyPI with the fix that git master has.
    """
    name = 'torchvision.transforms.functional_tensor'
    try:
        __import__(name)
    except ModuleNotFoundError:
        from torchvision.transforms import functional

        module = types.ModuleType(name)
        module.__spec__ = ModuleSpec(name, loader=None)  # importlib.util.find_spec asks for it
        module.rgb_to_grayscale = functional.rgb_to_grayscale
        sys.modules[name] = module


def apply() -> None:
    """Mend BasicSR as it lies in this process. Call it after `mend_functional_tensor`; twice does no harm."""
    mend_registries()
    mend_options()
    mend_optimizers()
    mend_checkpoints()
    mend_data()
    mend_prefetch()
    mend_validation()
    mend_distributed()


def mend_registries() -> None:
    """Two owners of a name: an AssertionError that names neither, and under `python -O` the second one wins silently.

    Fault: Registry._do_register in basicsr/utils/registry.py. Until: upstream names both, always.
    """
    from basicsr.utils.registry import Registry

    from ..registries.name_owners import is_there

    def do_register(self, name, obj, suffix=None):
        full = f'{name}_{suffix}' if isinstance(suffix, str) else name
        if not is_there(self, full, obj):
            self._obj_map[full] = obj

    Registry._do_register = do_register


def mend_options() -> None:
    """Option files execute code, misspelled keys pass, errors come after the old run was archived.

    Fault: basicsr/utils/options.py (unsafe loader, eval, exec; `experiments_root` ignored by 1.4.2).
    Until: upstream reads options safely and checks them.
    """
    import basicsr.test
    import basicsr.train

    from ..config.command_line import parse_options

    basicsr.train.parse_options = basicsr.test.parse_options = parse_options


def mend_optimizers() -> None:
    """PyPI's 1.4.2 knows Adam alone; NAFNet and Restormer train with AdamW.

    Fault: BaseModel.get_optimizer in basicsr/models/base_model.py. Until: a release on PyPI with what git master has.
    """
    from basicsr.models.base_model import BaseModel

    from ..config.schema.train import OPTIMIZERS

    def get_optimizer(self, optim_type, params, lr, **kwargs):
        if optim_type not in OPTIMIZERS:
            raise NotImplementedError(f'optimizer {optim_type}: expected one of {", ".join(OPTIMIZERS)}')
        return getattr(torch.optim, optim_type)(params, lr, **kwargs)

    BaseModel.get_optimizer = get_optimizer


def mend_checkpoints() -> None:
    """Checkpoints are written in place, failed writes ignored; weights load with code, and with keys missing.

    Fault: save_network, save_training_state and load_network in basicsr/models/base_model.py, and
    torch.load of versions before 2.6. Until: upstream writes to a temporary file, stops when it cannot
    write, and reads weights only.
    """
    from basicsr.models.base_model import BaseModel

    from . import model_files

    BaseModel.save_network = model_files.save_network
    BaseModel.save_training_state = model_files.save_training_state
    BaseModel.load_network = model_files.load_network
    if not getattr(torch.load, 'mended', False):
        torch.load = model_files.safe_load(torch.load)


def mend_data() -> None:
    """Crops repeat each epoch, errors do not name the sample, each process validates on everything.

    Fault: worker_init_fn in basicsr/data/__init__.py reseeds workers identically; build_dataloader there
    knows no share of a process. Until: upstream seeds by epoch and splits validation.
    """
    import basicsr.data
    import basicsr.test
    import basicsr.train
    from torch.utils.data import DataLoader

    from ..distributed import share_of_process

    def build_dataset(dataset_opt):
        return TracedDataset(basicsr.data.build_dataset(dataset_opt))

    def build_dataloader(dataset, dataset_opt, num_gpu=1, dist=False, sampler=None, seed=None):
        if dataset_opt['phase'] == 'train':
            return basicsr.data.build_dataloader(dataset, dataset_opt, num_gpu, dist, sampler, seed)
        return DataLoader(dataset, batch_size=1, sampler=share_of_process(len(dataset)))

    basicsr.train.EnlargedSampler = ScheduledSampler
    for module in (basicsr.train, basicsr.test):
        module.build_dataset, module.build_dataloader = build_dataset, build_dataloader


def mend_prefetch() -> None:
    """`prefetch_mode: cpu` hangs: with 0 workers always, with workers when a sample fails.

    Fault: basicsr/data/prefetch_dataloader.py starts a thread for every iterator, also for those that
    are thrown away, and a thread that fails never says so. Until: upstream's generator starts when it
    is first asked and hands errors over.
    """
    from basicsr.data import prefetch_dataloader
    from torch.utils.data import DataLoader

    from ..data.prefetch import prefetched

    def iterate(self):
        batches = DataLoader.__iter__(self)
        # Without workers the thread would only compete with training for the same random numbers.
        return prefetched(batches, ahead=self.num_prefetch_queue) if self.num_workers else batches

    prefetch_dataloader.PrefetchDataLoader.__iter__ = iterate


def mend_validation() -> None:
    """Validation tells means alone, hands `better` to metrics that do not know it, and uses one process of many.

    Fault: nondist_validation and dist_validation in basicsr/models/sr_model.py. Until: upstream writes a
    figure for each picture and spreads the pictures over the processes.
    """
    from basicsr.models.sr_model import SRModel

    from ..evaluation.validation import validate

    SRModel.nondist_validation = SRModel.dist_validation = validate


def mend_distributed() -> None:
    """`--launcher pytorch` needs a GPU, and every process writes the copy of the option file.

    Fault: basicsr/utils/dist_util.py (modulo by the number of GPUs, set_device, nccl),
    BaseModel.model_to_device (device_ids), copy_opt_file and make_exp_dirs as the pipelines call them.
    Until: upstream knows the CPU, and lets one process write while the others wait.
    """
    import basicsr.test
    import basicsr.train
    from basicsr.models.base_model import BaseModel
    from basicsr.utils import dist_util

    from .. import distributed

    BaseModel.model_to_device = distributed.model_to_device
    if getattr(dist_util.init_dist, 'mended', False):
        return
    dist_util.init_dist = distributed.init_dist(dist_util.init_dist)
    basicsr.train.copy_opt_file = distributed.by_one_process(basicsr.train.copy_opt_file)
    for module in (basicsr.train, basicsr.test):
        module.make_exp_dirs = distributed.by_one_process(module.make_exp_dirs)

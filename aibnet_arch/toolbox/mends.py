"""Mends of upstream faults, made from outside: BasicSR's files stay as they are.

Each function names the fault that it covers and how long it is needed. All of them concern PyPI's
1.4.2 and git master (8d56e3a) alike unless they say otherwise. `apply` runs them all.
"""

import os
import sys
import types
from importlib.machinery import ModuleSpec
from os import path as osp
from pathlib import Path

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

from .data_order import ScheduledSampler, TracedDataset
from .errors import UserError


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
    mend_options()
    mend_resume()
    mend_data_order()
    mend_prefetch()
    mend_validation()
    mend_distributed()


def mend_options() -> None:
    """Option files execute code, misspelled keys pass, errors come after the old run was archived.

    Fault: basicsr/utils/options.py (unsafe loader, eval, exec; `experiments_root` ignored by 1.4.2).
    Until: upstream reads options safely and checks them.
    """
    import basicsr.test
    import basicsr.train

    from .arguments import parse_options

    basicsr.train.parse_options = basicsr.test.parse_options = parse_options


def mend_resume() -> None:
    """Resuming needs a GPU, and `--auto_resume` looks below the current directory alone.

    Fault: load_resume_state in basicsr/train.py. Until: it maps to the CPU and reads opt['path'].
    """
    import basicsr.train

    basicsr.train.load_resume_state = _load_resume_state


def _load_resume_state(opt: dict):
    from basicsr.utils import check_resume

    if opt['auto_resume']:
        states = list(Path(opt['path']['training_states']).glob('*.state'))
        if states:
            opt['path']['resume_state'] = str(max(states, key=lambda path: int(path.stem)))
    state_path = opt['path'].get('resume_state')
    if not state_path:
        return None
    if not osp.isfile(state_path):
        raise UserError(f'path.resume_state: no file {state_path}')
    state = torch.load(state_path, map_location='cpu', weights_only=True)
    check_resume(opt, state['iter'])
    opt['resume_iter'] = state['iter']
    return state


def mend_data_order() -> None:
    """Runs stop before total_iter, the last validation logs a wrong iteration, crops repeat each epoch.

    Fault: basicsr/train.py counts epochs with ceil, its loader drops the last batch; workers are
    reseeded identically (basicsr/data/__init__.py, worker_init_fn). Until: upstream counts and seeds right.
    """
    import basicsr.test
    import basicsr.train
    from basicsr.data import build_dataset

    def build_traced_dataset(dataset_opt):
        return TracedDataset(build_dataset(dataset_opt))

    upstream = basicsr.train.create_train_val_dataloader
    if getattr(upstream, 'mended', False):
        return

    def create_train_val_dataloader(opt, logger):
        loader, sampler, val_loaders, _, total_iter = upstream(opt, logger)
        sampler.schedule(
            batch_size=loader.batch_size,
            total_iter=total_iter,
            first_iter=opt.get('resume_iter', 0),
            seed=opt['manual_seed'],
        )
        # Upstream's loop runs one epoch more than it is told.
        logger.info(f'{sampler.batches_per_epoch} iterations an epoch; the last epoch is {sampler.last_epoch}.')
        return loader, sampler, val_loaders, sampler.last_epoch, total_iter

    create_train_val_dataloader.mended = True
    basicsr.train.create_train_val_dataloader = create_train_val_dataloader
    basicsr.train.EnlargedSampler = ScheduledSampler
    basicsr.train.build_dataset = basicsr.test.build_dataset = build_traced_dataset


def mend_prefetch() -> None:
    """`prefetch_mode: cpu` hangs: with 0 workers always, with workers when a sample fails.

    Fault: basicsr/data/prefetch_dataloader.py starts a thread for every iterator, also for those that
    are thrown away, and a thread that fails never says so. Until: upstream's generator starts when it
    is first asked and hands errors over.
    """
    from basicsr.data import prefetch_dataloader
    from torch.utils.data import DataLoader

    from .prefetch import prefetched

    def iterate(self):
        batches = DataLoader.__iter__(self)
        # Without workers the thread would only compete with training for the same random numbers.
        return prefetched(batches, ahead=self.num_prefetch_queue) if self.num_workers else batches

    prefetch_dataloader.PrefetchDataLoader.__iter__ = iterate


def mend_validation() -> None:
    """Validation tells means alone, and hands `better` to metrics that do not know it.

    Fault: nondist_validation in basicsr/models/sr_model.py. Until: upstream writes a figure for each picture.
    """
    from basicsr.models.sr_model import SRModel

    from .validation import nondist_validation

    SRModel.nondist_validation = nondist_validation


def mend_distributed() -> None:
    """`--launcher pytorch` needs a GPU.

    Fault: basicsr/utils/dist_util.py (modulo by the number of GPUs, set_device, nccl) and
    BaseModel.model_to_device (device_ids). Until: both know the CPU.
    """
    from basicsr.models.base_model import BaseModel
    from basicsr.utils import dist_util

    upstream = dist_util.init_dist
    if getattr(upstream, 'mended', False):
        return

    def init_dist(launcher, **kwargs):
        if torch.cuda.is_available():
            upstream(launcher, **kwargs)
        elif launcher == 'pytorch':
            if 'RANK' not in os.environ:
                raise UserError('--launcher pytorch: start the command with torchrun, which sets RANK and WORLD_SIZE')
            torch.distributed.init_process_group(backend='gloo')
        else:
            raise UserError(f'--launcher {launcher} needs GPUs; on CPUs use torchrun and --launcher pytorch')

    init_dist.mended = True
    dist_util.init_dist = init_dist

    def model_to_device(self, net):
        net = net.to(self.device)
        if self.opt['dist']:
            return DistributedDataParallel(
                net,
                device_ids=[torch.cuda.current_device()] if self.device.type == 'cuda' else None,
                find_unused_parameters=self.opt.get('find_unused_parameters', False),
            )
        return DataParallel(net) if self.opt['num_gpu'] > 1 else net

    BaseModel.model_to_device = model_to_device

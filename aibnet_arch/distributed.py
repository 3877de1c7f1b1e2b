"""Training with several processes, on GPUs (nccl) and on CPUs (gloo)."""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from .errors import UserError


def init_dist(upstream: Callable) -> Callable:
    """BasicSR's init_dist, but for torchrun, on any device.

    The device of a process follows from LOCAL_RANK, as torchrun gives it on each of several machines.
    """

    def init(launcher: str, **kwargs: Any) -> None:
        if launcher != 'pytorch':
            if not torch.cuda.is_available():
                raise UserError(f'--launcher {launcher} needs GPUs; on CPUs use torchrun and --launcher pytorch')
            upstream(launcher, **kwargs)
            return
        missing = [name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK') if name not in os.environ]
        if missing:
            raise UserError(
                f'--launcher pytorch: start the command with torchrun, which sets {", ".join(missing)}: '
                'torchrun --nproc_per_node=2 -m aibnet_arch train -opt FILE --launcher pytorch'
            )
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
        dist.init_process_group(backend='nccl' if torch.cuda.is_available() else 'gloo')

    init.mended = True
    return init


def model_to_device(self: Any, net: nn.Module) -> nn.Module:
    """A method of BasicSR's BaseModel: on to the device, and into the wrapper that several processes or GPUs need."""
    net = net.to(self.device)
    if self.opt['dist']:
        if not any(parameter.requires_grad for parameter in net.parameters()):
            return net
        return DistributedDataParallel(
            net,
            device_ids=[torch.cuda.current_device()] if self.device.type == 'cuda' else None,
            find_unused_parameters=self.opt.get('find_unused_parameters', False),
        )
    return DataParallel(net) if self.opt['num_gpu'] > 1 else net


def share_of_process(count: int) -> range:
    """Indices of the samples, out of `count`, that this process validates on."""
    several = dist.is_available() and dist.is_initialized()
    return range(dist.get_rank(), count, dist.get_world_size()) if several else range(count)


def by_one_process(function: Callable) -> Callable:
    """The function, run by the first process while the others wait for it."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> None:
        several = dist.is_available() and dist.is_initialized()
        if not several or dist.get_rank() == 0:
            function(*args)
        if several:
            dist.barrier()

    return wrapper


@contextmanager
def process_group_ended() -> Iterator[None]:
    """Around a whole command: ends the group of processes that it made, once all of them are through.

    Upstream leaves that to the interpreter's exit. There gloo's threads may still hold tensors, and the process
    aborts now and then (PyTorch's pull request 179291), so that torchrun reports a finished run as failed. Until
    PyTorch ends its groups itself. After an error nccl's group is left alone: its end would wait for the others.
    """
    try:
        yield
        if dist.is_available() and dist.is_initialized():
            dist.barrier()
            dist.destroy_process_group()
    finally:
        if dist.is_available() and dist.is_initialized() and dist.get_backend() == 'gloo':
            dist.destroy_process_group()

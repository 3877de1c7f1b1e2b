"""Training with several processes, on GPUs (nccl) and on CPUs (gloo)."""

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Union

import torch
from torch import distributed as dist
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from .errors import UserError


def init_dist(launcher: str, slurm_params: Mapping[str, Any], *, on_gpus: bool) -> None:
    """Join the processes of a run, on any device.

    BasicSR's own, which serves slurm alone here, needs GPUs and numbers them by the process's rank; under torchrun the
    device follows from LOCAL_RANK, which counts anew on each of several machines.

    Args:
        launcher: 'pytorch' (torchrun) or 'slurm'.
        on_gpus: whether the run may use GPUs (`num_gpu` is not 0). They must be there.

    Raises:
        UserError: slurm without GPUs, or pytorch without torchrun.
    """
    on_gpus = on_gpus and torch.cuda.is_available()
    if launcher != 'pytorch':
        if not on_gpus:
            raise UserError(f'--launcher {launcher} needs GPUs; on CPUs use torchrun and --launcher pytorch')
        from basicsr.utils import dist_util

        dist_util.init_dist(launcher, **slurm_params)
        return
    missing = [name for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK') if name not in os.environ]
    if missing:
        raise UserError(
            f'--launcher pytorch: start the command with torchrun, which sets {", ".join(missing)}: '
            'torchrun --nproc_per_node=2 -m aibnet_arch train -opt FILE --launcher pytorch'
        )
    if on_gpus:
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    dist.init_process_group(backend='nccl' if on_gpus else 'gloo')


def on_device(net: nn.Module, device: torch.device, opt: Mapping[str, Any]) -> nn.Module:
    """A network on its device, and in the wrapper that several processes or GPUs need.

    Args:
        opt: BasicSR's options: dist, num_gpu, find_unused_parameters.
    """
    net = net.to(device)
    if opt['dist']:
        if not any(parameter.requires_grad for parameter in net.parameters()):
            return net
        return DistributedDataParallel(
            net,
            device_ids=[torch.cuda.current_device()] if device.type == 'cuda' else None,
            find_unused_parameters=opt.get('find_unused_parameters', False),
        )
    return DataParallel(net) if opt['num_gpu'] > 1 else net


def several_processes() -> bool:
    """Whether this process is one of several of a run."""
    return dist.is_available() and dist.is_initialized()


def largest_of_processes(here: Union[int, torch.Tensor]) -> int:
    """The largest of the processes' numbers; all of them must ask.

    Args:
        here: that of this one; a tensor on its device is brought from there once, when all have been heard.
    """
    if not several_processes():
        return int(here)
    number = torch.as_tensor(here, dtype=torch.float32, device='cuda' if dist.get_backend() == 'nccl' else 'cpu')
    dist.all_reduce(number, op=dist.ReduceOp.MAX)
    return int(number.item())


def in_any_process(here: Union[bool, torch.Tensor]) -> bool:
    """Whether it is so in one process of the run or more; all of them must ask."""
    return bool(largest_of_processes(here))


def take_buffers_of_first(net: nn.Module) -> None:
    """Give a network of all processes the buffers that it has in the first; all of them must call it.

    Each process's batch norm has statistics of its own, until the next forward pass of DistributedDataParallel.
    """
    if several_processes():
        for buffer in net.buffers():
            dist.broadcast(buffer, src=0)


def from_all_processes(value: Any) -> list[Any]:
    """The values of all processes in the order of their ranks; all of them must call it."""
    if not several_processes():
        return [value]
    values: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values


def wait_for_all() -> None:
    """Go on when all processes of the run are here."""
    if several_processes():
        dist.barrier()


def share_of_process(count: int) -> range:
    """Indices of the samples, out of `count`, that this process validates on."""
    return range(dist.get_rank(), count, dist.get_world_size()) if several_processes() else range(count)


def by_one_process(function: Callable) -> Callable:
    """The function, run by the first process while the others wait for it."""

    @functools.wraps(function)
    def wrapper(*args: Any) -> None:
        if not several_processes() or dist.get_rank() == 0:
            function(*args)
        wait_for_all()

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
        if several_processes():
            dist.barrier()
            dist.destroy_process_group()
    finally:
        if several_processes() and dist.get_backend() == 'gloo':
            dist.destroy_process_group()


def device_told(opt: Mapping[str, Any]) -> str:
    """On what a run computes, in words.

    Args:
        opt: BasicSR's options: num_gpu, world_size.
    """
    processes = f'{opt["world_size"]} processes, ' if opt['world_size'] > 1 else ''
    if opt['num_gpu'] == 0 or not torch.cuda.is_available():
        threads = torch.get_num_threads()
        return f'{processes}the CPU ({threads} thread{"s" if threads > 1 else ""})'
    return f'{processes}{torch.cuda.get_device_name()}'

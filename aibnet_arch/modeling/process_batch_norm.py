"""Batch norm over the images of all processes of a run."""

from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.autograd.function import once_differentiable


class ProcessBatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d, in training on request with the statistics of the images of all processes.

    What it normalises is small here, a few numbers for each image (the Decoupler's taps): the processes exchange it
    whole. So N processes with batches of B compute what one with a batch of N B does, on CPUs as on GPUs; torch's
    SyncBatchNorm knows GPUs alone. All processes must run it, with batches of one size.

    Attributes:
        over_processes: whether it does, where the run has several processes.
    """

    over_processes = False

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) of this process -> the same, normalised."""
        if not (self.training and self.over_processes and _several_processes()):
            return super().forward(x)
        return super().forward(_of_all_processes(x)).chunk(distributed.get_world_size())[distributed.get_rank()]


def _several_processes() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


class _OfAllProcesses(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, x)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous()
        distributed.all_reduce(total)  # each process's loss depends on the images of all
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]


def _of_all_processes(x: Tensor) -> Tensor:
    """(B, C, H, W) of each process -> (N B, C, H, W), in the order of their ranks."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))  # gloo knows no half precision everywhere
    return _OfAllProcesses.apply(wide.contiguous()).to(x.dtype)

"""What the kernels need, said before they run."""

import os
from importlib.util import find_spec
from typing import Optional

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.float16, torch.bfloat16)


def missing(device: Optional[torch.device] = None) -> Optional[str]:
    """What is missing for the kernels to run on a device, or on any of this machine, and what to do; None: nothing."""
    if find_spec('triton') is None:
        return 'needs triton: pip install triton (PyTorch for CUDA on Linux brings it)'
    if os.environ.get('TRITON_INTERPRET') == '1':  # triton's own switch, read when it is imported
        return None
    if not torch.cuda.is_available() or (device is not None and device.type != 'cuda'):
        return "needs a GPU; to try it on a CPU, slowly, in triton's interpreter, set TRITON_INTERPRET=1"
    return None


def check(*inputs: Optional[Tensor]) -> None:
    """Refuse what the kernels cannot take.

    Raises:
        RuntimeError: a gradient is wanted, or the device cannot run them.
        TypeError: numbers that are not float32, float16 or bfloat16.
    """
    given = [each for each in inputs if each is not None]
    if torch.is_grad_enabled() and any(each.requires_grad for each in given):
        raise RuntimeError('the kernels in Triton have no gradient: run the network under torch.no_grad()')
    problem = missing(given[0].device)
    if problem is not None:
        raise RuntimeError(f'a kernel in Triton {problem}')
    for each in given:
        if each.dtype not in DTYPES:
            raise TypeError(f'a kernel in Triton takes float32, float16 and bfloat16, not {each.dtype}')

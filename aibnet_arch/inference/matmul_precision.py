"""How matrix products of float32 are computed on a GPU: attention is made of them, convolutions are not."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, Optional

import torch

MatmulPrecision = Literal['highest', 'high', 'medium']


@contextmanager
def matmul_precision(name: Optional[MatmulPrecision]) -> Iterator[None]:
    """Set torch.set_float32_matmul_precision within; None leaves it.

    Args:
        name: 'highest' (torch's default), 'high' (TF32, as cuDNN's convolutions run by default), 'medium' (bfloat16).
    """
    former = torch.get_float32_matmul_precision()
    if name is not None:
        torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(former)


def convolution_precision() -> MatmulPrecision:
    """The one that equals what convolutions run in on a GPU."""
    return 'high' if torch.backends.cudnn.allow_tf32 else 'highest'

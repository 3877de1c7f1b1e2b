"""How far a network is inside one picture: its blocks are counted as they end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Optional

from torch import nn

from ..modeling import AIBNet
from ..modeling.lean.blocks import BLOCKS


@contextmanager
def told_steps(
    network: nn.Module, progress: Callable[[float], object], *, up_to: Optional[int], runs: int
) -> Iterator[None]:
    """Call `progress` with parts of 1 while the network runs, and with the rest at the end; blocks count alike.

    Hooks on blocks themselves leave them lean (:mod:`.lean.blocks`). A network without such blocks, and one in
    windows, which meets no hooks, tell of their end alone.

    Args:
        network: an AIBNet.
        progress: see :meth:`.Deblurrer.restore`.
        up_to: its last sub-decoder that runs; None: its own choice.
        runs: how often it runs.
    """
    parts: list[nn.Module] = [network]
    if isinstance(network, AIBNet):
        parts = [network.encoder, *list(network.sub_decoders)[: up_to or network.active_sub_decoders]]
    blocks = [block for part in parts for block in part.modules() if type(block) in BLOCKS]
    step, told = 1 / (1 + runs * len(blocks)), 0.0

    def tell(*_: object) -> None:
        nonlocal told
        told += step
        progress(step)

    handles = [block.register_forward_hook(tell) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    progress(1 - told)

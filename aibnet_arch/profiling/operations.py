"""Every operation of a network: what it computes, and what it reads and writes."""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .measuring import hooked


@dataclass(frozen=True)
class Operation:
    """One call of a kernel.

    Attributes:
        macs: multiply-accumulates of a convolution or a matrix product; 0 of any other.
        bytes_moved: sizes of the tensors that it reads and writes.
    """

    macs: int
    bytes_moved: int


@dataclass(frozen=True)
class Roofline:
    """The least time of a part's operations one after the other, each limited by what it computes or by what it moves.

    On a CPU the lean run walks in strips that stay in its cache: it may be faster than memory allows.

    Attributes:
        seconds: the sum over the operations of the larger of the two.
        compute_bound: the share of it in operations that computing limits; memory traffic limits the others.
    """

    seconds: float
    compute_bound: float
    bytes_moved: int

    @property
    def limit(self) -> str:
        """What limits most of it, 'compute' or 'memory', and how much of it."""
        share = max(self.compute_bound, 1 - self.compute_bound)
        return f'{"compute" if self.compute_bound >= 0.5 else "memory"} {100 * share:.0f} %'


def roofline(operations: Sequence[Operation], *, rate: float, bandwidth: float) -> Roofline:
    """The roofline of operations.

    Args:
        rate: MACs a second, see :func:`.matrix_rate`.
        bandwidth: bytes a second, see :func:`.copy_rate`.
    """
    total = computing = 0.0
    for operation in operations:
        compute, memory = operation.macs / rate, operation.bytes_moved / bandwidth
        total += max(compute, memory)
        computing += compute if compute >= memory else 0.0
    moved = sum(operation.bytes_moved for operation in operations)
    return Roofline(seconds=total, compute_bound=computing / total if total else 0.0, bytes_moved=moved)


@torch.no_grad()
def count_operations(
    network: nn.Module, parts: Mapping[str, nn.Module], size: Sequence[int]
) -> dict[str, list[Operation]]:
    """The operations of each part, of the 'rest' outside of them, and of the 'total', in float32 with every map whole.

    Args:
        network: stays as it is: a copy runs on the meta device, without memory.
        parts: names and modules of it, see :func:`.parts_of`.
        size: of the input, (B, 3, H, W).
    """
    counted = copy.deepcopy(network).to('meta')
    modules = {name: counted.get_submodule(name) for name in parts}
    found: dict[str, list[Operation]] = {name: [] for name in (*parts, 'rest', 'total')}
    inside: list[str] = []
    picture = torch.empty(tuple(size), device='meta')

    def note(operation: Operation) -> None:
        for name in ('total', inside[-1] if inside else 'rest'):
            found[name].append(operation)

    with hooked(modules, before=inside.append, after=inside.remove), _Recording(note):
        counted(picture)
    return found


class _Recording(TorchDispatchMode):
    """Hands each operation on that is not a mere view."""

    def __init__(self, note: Callable[[Operation], None]) -> None:
        super().__init__()
        self._note = note

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Optional[Mapping[str, Any]] = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        if not _moves_nothing(func):
            packet = func.overloadpacket
            flops = flop_registry[packet](*args, **(kwargs or {}), out_val=output) if packet in flop_registry else 0
            self._note(Operation(macs=flops // 2, bytes_moved=_bytes((args, kwargs)) + _bytes(output)))
        return output


def _moves_nothing(func: Any) -> bool:
    """Whether it makes room, or gives a new look at its input."""
    if 'empty' in func._schema.name or func.overloadpacket is torch.ops.aten._unsafe_view:
        return True
    returns = func._schema.returns
    return bool(returns) and all(one.alias_info is not None and not one.alias_info.is_write for one in returns)


def _bytes(values: Any) -> int:
    return sum(value.numel() * value.element_size() for value in tree_leaves(values) if isinstance(value, Tensor))

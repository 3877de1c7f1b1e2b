"""No optimizer steps with a loss or a gradient that is not finite; gradients are clipped on request."""

from collections.abc import Iterable, Mapping
from typing import Any, Optional

import torch
from torch import Tensor, nn


class NonFiniteError(ArithmeticError):
    """Raised instead of the optimizer's step. The message says what was not finite."""


class StepGuard:
    """Looks at losses and gradients in the moment before an optimizer steps.

    It hangs on torch's own hook before the step, so it serves every model class.

    Args:
        model: a model of BasicSR. Losses are the outputs of its modules ``cri_*``, or what it leaves in its
            attribute ``loss_terms``.
        max_norm: gradients of an optimizer are scaled down to this norm (over all of them); None: never.
    """

    def __init__(self, model: Any, *, max_norm: Optional[float] = None) -> None:
        self._model = model
        self._max_norm = max_norm
        self._watched: list[torch.optim.Optimizer] = []
        self._outputs: dict[str, Any] = {}
        self._buffers: list[Tensor] = []
        self._saved: list[Tensor] = []
        for name, module in vars(model).items():
            if name.startswith('cri_') and isinstance(module, nn.Module):
                module.register_forward_hook(self._note_output(name))

    def _note_output(self, name: str):
        def note(module, inputs, output) -> None:
            self._outputs[name] = output

        return note

    def watch(self) -> None:
        """Hang on the model's optimizers that are new, and find the buffers that training changes.

        Call it when optimizers may have been made: a stage begins with its own.
        """
        new = [optimizer for optimizer in self._model.optimizers if not any(optimizer is o for o in self._watched)]
        if not new:
            return
        for optimizer in new:
            optimizer.register_step_pre_hook(self._before_step)
        self._watched = list(self._model.optimizers)
        networks = [m for name, m in vars(self._model).items() if name.startswith('net_') and isinstance(m, nn.Module)]
        modules = (module for network in networks for module in network.modules() if module.training)
        self._buffers = [buffer for module in modules for buffer in module.buffers(recurse=False)]

    def begin(self) -> None:
        """Call before an iteration: keep the buffers, which a forward pass may spoil (batch norm statistics)."""
        self._outputs = {}
        self._saved = [buffer.clone() for buffer in self._buffers]

    @torch.no_grad()
    def undo(self) -> None:
        """Call after a step that was refused: give the buffers back and drop the gradients."""
        for buffer, saved in zip(self._buffers, self._saved):
            buffer.copy_(saved)
        for optimizer in self._watched:
            optimizer.zero_grad(set_to_none=True)

    def losses(self) -> dict[str, float]:
        """Loss terms of this iteration, as far as they are known."""
        terms: Mapping[str, Any] = getattr(self._model, 'loss_terms', None) or self._outputs
        return {name: value for key, output in terms.items() for name, value in _scalars(key, output)}

    @torch.no_grad()
    def _before_step(self, optimizer: torch.optim.Optimizer, args: tuple, kwargs: dict) -> None:
        gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        norm = _norm(gradients)
        terms: Mapping[str, Any] = getattr(self._model, 'loss_terms', None) or self._outputs
        everything = sum((v.sum().to(norm) for output in terms.values() for v in _tensors(output)), norm)
        if not _finite_everywhere(everything):
            here = not torch.isfinite(everything)
            raise NonFiniteError(self._describe(optimizer, norm) if here else 'not finite in another process')
        if self._max_norm is not None:
            factor = (self._max_norm / (norm + 1e-6)).clamp(max=1)
            torch._foreach_mul_(gradients, factor)

    def _describe(self, optimizer: torch.optim.Optimizer, norm: Tensor) -> str:
        losses = self.losses()
        told = ', '.join(f'{name} {value:.4g}' for name, value in losses.items())
        if torch.isfinite(norm):
            what = 'the loss is not finite'
        else:
            networks = {name: net for name, net in vars(self._model).items() if isinstance(net, nn.Module)}
            names = {id(p): f'{net}.{name}' for net in networks for name, p in networks[net].named_parameters()}
            groups = (p for group in optimizer.param_groups for p in group['params'])
            broken = [names.get(id(p), '?') for p in groups if p.grad is not None and not torch.isfinite(p.grad).all()]
            what = f'the gradients of {len(broken)} parameters are not finite, e.g. of {", ".join(broken[:3])}'
            what = what if broken else 'the norm of the gradients overflows'
        return f'{what} (losses: {told or "unknown"})'


def refuse_unless_finite(loss: Tensor) -> None:
    """Raise NonFiniteError in every process if the loss of one is not finite."""
    if not _finite_everywhere(loss.detach()):
        raise NonFiniteError('the loss is not finite')


def _finite_everywhere(value: Tensor) -> bool:
    """Whether the scalar is finite in all processes of the run: all of them skip a step, or none."""
    bad = (~torch.isfinite(value)).float()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(bad, op=torch.distributed.ReduceOp.MAX)
    return not bad.item()


def _norm(gradients: Iterable[Tensor]) -> Tensor:
    """Euclidean norm over all of them; not finite if one entry is not."""
    gradients = list(gradients)
    if not gradients:
        return torch.zeros(())
    return torch.linalg.vector_norm(torch.stack([n.float() for n in torch._foreach_norm(gradients)]))


def _tensors(output: Any) -> list[Tensor]:
    outputs = output if isinstance(output, (tuple, list)) else (output,)
    return [value.detach() for value in outputs if isinstance(value, Tensor)]


def _scalars(name: str, output: Any) -> list[tuple[str, float]]:
    values = [float(value.float().mean()) for value in _tensors(output)]
    return [(name if len(values) == 1 else f'{name}[{index}]', value) for index, value in enumerate(values)]

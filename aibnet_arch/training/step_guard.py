"""No optimizer steps with a loss or a gradient that is not finite; gradients are clipped on request."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from basicsr.utils import get_root_logger
from torch import Tensor, nn

from ..distributed import in_any_process
from ..errors import RunError

MOST_SKIPPED = 10


class NonFiniteError(ArithmeticError):
    """Raised instead of the optimizer's step. The message says what was not finite."""


class StepGuard:
    """Looks at losses and gradients in the moment before an optimizer steps.

    It hangs on torch's own hook before the step, so it serves every model class.

    Args:
        model: a model of BasicSR. Losses are the outputs of its modules ``cri_*``, or what it leaves in its
            attribute ``loss_terms``. ``train.grad_clip`` is the norm to which the gradients of an optimizer (all of
            them together) are scaled down, ``train.max_skipped_steps`` how many steps in a row may be refused.

    Attributes:
        skipped, skipped_in_row: steps that were refused, in all and since the last one that was taken.
        norms: of the gradients of each optimizer in this iteration's step, before clipping.
    """

    def __init__(self, model: Any) -> None:
        train = model.opt['train']
        self._model = model
        self._max_norm = train.get('grad_clip')
        self._most_skipped = train.get('max_skipped_steps') or MOST_SKIPPED
        self.skipped = self.skipped_in_row = 0
        self.norms: list[Tensor] = []
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

    def step(self, iteration: int, *, batch: Sequence[str]) -> None:
        """Let the model optimize its parameters, or leave it as it was if a number is not finite.

        Args:
            iteration: the number of this one.
            batch: names of its samples, for the message.

        Raises:
            RunError: too many steps in a row were refused.
        """
        self._outputs, self.norms = {}, []
        self._saved = [buffer.clone() for buffer in self._buffers]  # a forward pass may spoil batch norm's statistics
        try:
            self._model.optimize_parameters(iteration)
        except NonFiniteError as error:
            self._refuse(f'Iteration {iteration}: step skipped', f'{error}. The batch: {", ".join(batch)}')
        else:
            overflow = getattr(self._model, 'overflow', None)
            if overflow is None:
                self.skipped_in_row = 0
            else:  # fp16: the scaler left the step out, which the hook never sees
                self._refuse(f'Iteration {iteration}: step skipped', f'{overflow}. The batch: {", ".join(batch)}')

    def _refuse(self, what: str, why: str) -> None:
        self.skipped += 1
        self.skipped_in_row += 1
        losses = self._losses()
        self._undo()
        message = f'{what} ({self.skipped_in_row} in a row, {self.skipped} in all): {why}'
        if self.skipped_in_row >= self._most_skipped:
            raise RunError(
                f'{message}. That is train.max_skipped_steps. No such step was taken. Look at these pictures, '
                'lower the learning rate or set train.grad_clip, then go on with --auto_resume.'
            )
        get_root_logger().warning(message)
        self._model.log_dict = {**losses, 'skipped_steps': self.skipped}

    @torch.no_grad()
    def _undo(self) -> None:
        """Give the buffers back, and drop the gradients and what holds the graph of a loss without backward pass."""
        for name, nothing in (('output', None), ('loss_terms', {})):
            if hasattr(self._model, name):
                setattr(self._model, name, nothing)
        for buffer, saved in zip(self._buffers, self._saved):
            buffer.copy_(saved)
        for optimizer in self._watched:
            optimizer.zero_grad(set_to_none=True)

    def _losses(self) -> dict[str, float]:
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
        self.norms.append(norm)
        if gradients and self._max_norm is not None:
            factor = (self._max_norm / (norm + 1e-6)).clamp(max=1)
            torch._foreach_mul_(gradients, factor)

    def _describe(self, optimizer: torch.optim.Optimizer, norm: Tensor) -> str:
        losses = self._losses()
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
    return not in_any_process(~torch.isfinite(value))


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

"""An optimizer's step whose gradients a scaler has scaled up for half precision (fp16)."""

from typing import Any

import torch


def scaled_step(scaler: Any, optimizer: torch.optim.Optimizer) -> bool:
    """Take the step, if the scaler finds its gradients finite.

    The gradients are brought to their true size first: what looks at them before a step, or clips them, must not see
    scaled ones. Whatever stops the step, the scale is adapted afterwards, so that the next gradients are scaled anew.

    Args:
        scaler: torch's GradScaler; a step of one that is not enabled is the optimizer's own.
        optimizer: with the gradients of ``scaler.scale(loss).backward()``.

    Returns:
        False if the scaler left the step out, and has lowered its scale.
    """
    if not scaler.is_enabled():
        optimizer.step()
        return True
    taken: list[bool] = []
    scaler.unscale_(optimizer)
    watch = optimizer.register_step_pre_hook(lambda *_: taken.append(True))
    try:
        scaler.step(optimizer)
    finally:
        watch.remove()
        scaler.update()
    return bool(taken)

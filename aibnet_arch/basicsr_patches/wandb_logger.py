"""Weights & Biases takes over what TensorBoard is told."""

from collections.abc import Mapping
from typing import Any

from basicsr.utils import get_root_logger
from basicsr.utils.dist_util import master_only


@master_only
def init_wandb_logger(opt: Mapping[str, Any]) -> None:
    """Begin a run of wandb, or go on with `logger.wandb.resume_id`.

    wandb draws the id of a new run itself; the log tells it. WANDB_MODE=offline keeps the run on this machine.
    """
    import wandb

    options = opt['logger']['wandb']
    resume_id = options.get('resume_id')
    run = wandb.init(
        project=options['project'],
        name=opt['name'],
        id=resume_id,
        resume='allow' if resume_id else None,
        config=dict(opt),
        sync_tensorboard=True,
    )
    get_root_logger().info(f'Weights & Biases: run {run.id}; logger.wandb.resume_id: {run.id} goes on with it.')

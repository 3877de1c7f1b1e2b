"""`train:` as all model classes read it: optimizer, schedule, losses."""

from typing import Annotated, Optional

from .kinds import (
    OURS,
    Betas,
    Call,
    Count,
    Counts,
    CountsOrZero,
    Decay,
    NotNegative,
    Numbers,
    OneOf,
    Positive,
    Section,
    Switch,
    Told,
    Warmup,
    Weight,
    needed,
    optional,
)

# What BaseModel.get_optimizer (of git master, and as mended of 1.4.2) and setup_schedulers know.
OPTIMIZERS = ('Adam', 'AdamW', 'Adamax', 'SGD', 'ASGD', 'RMSprop', 'Rprop')
SCHEDULERS = ('CosineAnnealingRestartLR', 'MultiStepLR', 'MultiStepRestartLR')


class Optimizer(Call):
    """`train.optim_g:`. Beside these keys, all that the optimizer of torch takes."""

    type: Annotated[str, OneOf(OPTIMIZERS)] = needed('the class of torch.optim')
    lr: Positive = needed('learning rate')
    betas: Betas = optional('decay rates of Adam, AdamW, Adamax', [0.9, 0.999])
    weight_decay: Optional[NotNegative] = optional("by default the optimizer's own")
    eps: Optional[NotNegative] = optional("by default the optimizer's own")
    momentum: Optional[NotNegative] = optional('of SGD and RMSprop', 0)
    amsgrad: Optional[Switch] = optional('of Adam and AdamW', False)
    nesterov: Optional[Switch] = optional('of SGD', False)
    fused: Optional[Switch] = optional('of Adam, AdamW and SGD: a step is one kernel, on a CPU since torch 2.4', False)


class Scheduler(Call):
    """`train.scheduler:`"""

    type: Annotated[str, OneOf(SCHEDULERS)] = needed('the schedule')
    periods: Counts = optional('of the cosines, iterations; AIBNetModel takes one for each stage', None)
    restart_weights: Numbers = optional('of the learning rate at each restart', [1])
    eta_min: NotNegative = optional('learning rate at the end of a cosine', 0)
    milestones: Counts = optional('of MultiStep: iterations at which the learning rate falls', None)
    gamma: Positive = optional('of MultiStep: by this factor', 0.1)
    restarts: CountsOrZero = optional('of MultiStep: iterations at which it starts again', [0])


class Loss(Call):
    """A loss; its signature declares the other keys."""

    type: Annotated[str, Told('the name of a loss')] = needed('the class of the loss')
    loss_weight: Weight = optional('of this loss', 1.0)


class Train(Section):
    """`train:`"""

    total_iter: Count = needed('iterations of the run')
    optim_g: Optimizer = needed('the optimizer of network_g')
    scheduler: Scheduler = needed('of the learning rate')
    warmup_iter: Warmup = optional('iterations in which the learning rate rises to its value; -1: none', -1)
    grad_clip: Optional[Positive] = optional('gradients are scaled down to this norm; ~: never', whose=OURS)
    max_skipped_steps: Optional[Count] = optional(
        'steps in a row with a loss or gradient that is not finite, then the run stops', 10, whose=OURS
    )


class Losses(Section):
    """`train:` of SRModel and what derives from it."""

    pixel_opt: Optional[Loss] = optional('loss of the pictures, e.g. {type: AIBNetLoss}')
    perceptual_opt: Optional[Loss] = optional('loss of features, e.g. {type: PerceptualLoss, layer_weights: ...}')
    ema_decay: Decay = optional('of the averaged weights; 0: none', 0)

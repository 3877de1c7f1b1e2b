"""When a stage ends and the next one begins in a run (Section 3.4); what then trains: ``modeling/staged_module.py``."""

from copy import deepcopy
from typing import Any, Optional

import torch
from basicsr.models.sr_model import SRModel
from basicsr.utils import get_root_logger
from torch import Tensor

from ..errors import OptionError
from ..modeling import AIBNet
from .crafted_state import refuse_unfit
from .settings import TrainingSettings
from .stage_plan import StagePlan


class StageSwitch(SRModel):
    """SRModel, of which one sub-decoder after the other trains, each with an optimizer and a schedule of its own.

    Its subclass gives it what follows before the first stage.

    Attributes:
        plan: which stage at which iteration.
        settings: how it trains.
        stage: the one that trains, from 1; None: all at once.
    """

    plan: StagePlan
    settings: TrainingSettings
    stage: Optional[int]
    _train_options: dict[str, Any]  # those below `train:` as they were given
    _stage_of_weights: int
    _of_ema: Optional[tuple[list[Tensor], ...]] = None

    @property
    def network(self) -> AIBNet:
        """The network without DistributedDataParallel's or DataParallel's wrapper."""
        return self.get_bare_model(self.net_g)

    def _enter_stage(self, iteration: int, *, networks: list) -> None:
        """Set the networks to the stage of an iteration (from 1) and wrap the trained one anew.

        DistributedDataParallel decides when it is built which gradients it waits for.
        """
        self.stage = self.plan.stage_at(iteration)
        self._of_ema = None
        for network in networks:
            network.set_stage(self.stage)
        self.net_g = self.model_to_device(self.network)
        # Apart from net_g: a compiled module names its weights otherwise.
        self._run = torch.compile(self.net_g) if self.settings.compile else self.net_g
        trainable = sum(p.numel() for p in self.network.parameters() if p.requires_grad)
        what = 'all sub-decoders' if self.stage is None else f'stage {self.stage} of {len(self.plan.lengths)}'
        get_root_logger().info(f'Training {what}: {trainable:,d} trainable parameters.')

    def _start_stage(self, iteration: int) -> None:
        """Begin the stage of an iteration with a fresh optimizer and schedule."""
        self.network.zero_grad(set_to_none=True)  # of parts that are frozen now, nothing else would free them
        ema = [self.net_g_ema] if self.ema_decay > 0 else []
        self._enter_stage(iteration, networks=[self.network, *ema])
        self.optimizers.clear()
        self.schedulers.clear()
        self.setup_optimizers()
        self.setup_schedulers()

    def _finish_stage(self) -> None:
        """The averaged weights are the stage's result."""
        if self.ema_decay > 0:
            self.network.load_state_dict(self.net_g_ema.state_dict())

    def setup_optimizers(self) -> None:
        """A new optimizer, for what trains in this stage alone."""
        options = deepcopy(self._train_options['optim_g'])
        trained = [p for p in self.network.parameters() if p.requires_grad]
        self.optimizer_g = self.get_optimizer(options.pop('type'), trained, **options)
        self.optimizers.append(self.optimizer_g)

    def setup_schedulers(self) -> None:
        """A new schedule; without `periods` one cosine as long as the stage."""
        self.opt['train'] = deepcopy(self._train_options)
        scheduler = self.opt['train']['scheduler']
        if scheduler['type'] == 'CosineAnnealingRestartLR' and 'periods' not in scheduler:
            index = 0 if self.stage is None else self.stage - 1
            scheduler['periods'] = [self.plan.lengths[index]]
        super().setup_schedulers()

    def update_learning_rate(self, current_iter: int, warmup_iter: int = -1) -> None:
        """That of the iteration within its stage; a new stage starts here."""
        if self.plan.stage_at(current_iter) != self.stage:
            self._finish_stage()  # again, or for the first time if upstream's own train.py runs
            self._start_stage(current_iter)
        super().update_learning_rate(self.plan.locate(current_iter)[1], warmup_iter)

    def resume_training(self, resume_state: dict) -> None:
        """Enter the stage of the state's iteration, if the weights are of that stage, and take the state over."""
        iteration = resume_state['iter']
        stage = self.plan.stage_at(iteration)
        if stage is not None and stage != self._stage_of_weights:
            raise OptionError(
                [
                    f'train.stage_iter {list(self.plan.lengths)} puts iteration {iteration} in stage {stage}, but the '
                    f'weights saved there are of stage {self._stage_of_weights}: give the stages of the first start'
                ]
            )
        self._start_stage(iteration)
        refuse_unfit(resume_state, self)
        super().resume_training(resume_state)

    def finish_iteration(self, current_iter: int) -> None:
        """Called after each iteration, also if its step was skipped."""
        if self.plan.ends_stage(current_iter):
            self._finish_stage()

"""The progressive-stage model class, on top of BasicSR's SRModel."""

from copy import deepcopy
from dataclasses import replace
from typing import Optional

import torch
from basicsr.utils import get_root_logger, tensor2img
from torch import Tensor

from ..blurmap.maps import coloured
from ..errors import OptionError
from ..inference.matmul_precision import matmul_precision
from ..inference.restorer import PRECISIONS, InferenceSettings, Restorer, autocast
from ..modeling.lean import Lean
from ..weights.pretrained import load_encoder, load_stages
from ..weights.wanted import Wanted
from ..weights.weight_file import WeightFile
from .aibnet_options import check_options
from .frozen_cache import FrozenCache
from .scaled_step import scaled_step
from .settings import TrainingSettings
from .stage_plan import StagePlan
from .stage_switch import StageSwitch
from .step_guard import refuse_unless_finite


class AIBNetModel(StageSwitch):
    """Trains sub-decoder after sub-decoder in one run, or all at once.

    Options beyond SRModel's:

    - ``train.strategy``: 'progressive' (default) or 'direct' (all sub-decoders at once, Table 6 a).
    - ``train.stage_iter``: iterations of each stage; they add up to ``train.total_iter``. Leading zeros
      are stages trained before, whose weights ``path.pretrain_network_stages`` holds.
    - ``train.scheduler.periods`` may be left out with CosineAnnealingRestartLR: one period, the length
      of the stage.
    - ``train.amp``, ``train.frozen_precision``, ``train.float32_matmul_precision``, ``train.channels_last``,
      ``train.compile``, ``train.checkpointing``, ``train.sync_batch_norm``: see
      :class:`~aibnet_arch.training.settings.TrainingSettings`.
    - ``train.frozen_cache``: see :mod:`~aibnet_arch.training.frozen_cache`.
    - ``val.window``, ``val.tiles``, ``val.up_to``, ``val.channels_last``, ``val.autocast``, ``val.compile``,
      ``val.float32_matmul_precision``, ``val.triton_kernels``: see
      :class:`~aibnet_arch.inference.restorer.InferenceSettings`.
      Where weights are tested and ``val.window`` is not given, it is that of their training.
    - ``path.pretrain_network_encoder``: the published checkpoint of the encoder.
    - ``path.pretrain_network_stages``: a checkpoint of an AIBNet with fewer sub-decoders.

    Each stage starts with a new optimizer and a new schedule. With EMA, the averaged weights are a
    stage's result: they replace the trained ones when the stage ends, so that the next stage builds on
    what validation saw.
    """

    schedules_by_stages = True  # the schedule's periods may be left out
    _restorer: Optional[Restorer] = None
    _frozen_cache: Optional[FrozenCache] = None
    overflow: Optional[str] = None  # why the scaler left the newest step out; the guard of the step reads it

    # Set up

    check_options = staticmethod(check_options)

    def init_training_settings(self) -> None:
        """Called by SRModel once the network is there: the plan, the pretrained parts, the first stage."""
        problems = list(self.check_options(self.opt))
        if problems:  # reached only by those who start without the command's pre-flight
            raise OptionError(problems)
        self.plan = StagePlan.from_options(self.opt)
        self.settings = TrainingSettings.from_options(self.opt['train'])
        self.scaler = self.settings.scaler(self.device)
        self._train_options = deepcopy(self.opt['train'])  # upstream pops from its own copy
        self._stage_of_weights = self.network.active_sub_decoders
        self._load_pretrained_parts()
        self.network.set_checkpointing(self.settings.checkpointing)
        self.network.set_process_batch_norm(self.settings.sync_batch_norm)
        frozen = self.settings.frozen_precision
        self.network.lean = Lean(precision=PRECISIONS[frozen] if frozen else None)
        if self.settings.channels_last:
            self.network.to(memory_format=torch.channels_last)
        self._enter_stage(1, networks=[self.network])
        super().init_training_settings()
        if self.ema_decay > 0:
            if not self.opt['path'].get('pretrain_network_g'):
                # Upstream copies parameters alone; the encoder's and the batch norms' buffers count too.
                self.net_g_ema.load_state_dict(self.network.state_dict())
            self.net_g_ema.set_stage(self.plan.stage_at(1))

    def _load_pretrained_parts(self) -> None:
        path = self.opt['path']
        if path.get('pretrain_network_g'):  # also set by a resumed run: it holds everything
            return
        logger = get_root_logger()
        if path.get('pretrain_network_stages'):
            loaded = load_stages(self.network, path['pretrain_network_stages'])
            if loaded != self.plan.trained_before:
                raise OptionError(
                    [
                        f'path.pretrain_network_stages: {path["pretrain_network_stages"]} holds {loaded} trained '
                        f'sub-decoder(s), but train.stage_iter {list(self.plan.lengths)} starts with '
                        f'{self.plan.trained_before} zero(s)'
                    ]
                )
            logger.info(f'Encoder and {loaded} sub-decoder(s) from {path["pretrain_network_stages"]}.')
        elif path.get('pretrain_network_encoder'):
            dropped = load_encoder(self.network, path['pretrain_network_encoder'])
            logger.info(f'Encoder from {path["pretrain_network_encoder"]}; {len(dropped)} unused entries dropped.')

    # Training

    def _enter_stage(self, iteration: int, *, networks: list) -> None:
        """As there, with what the newly frozen parts give in the cache, if there is one."""
        super()._enter_stage(iteration, networks=networks)
        self.release()
        self._frozen_cache = FrozenCache.from_options(self.opt, self.network)

    def release(self) -> None:
        """Let other runs have what this one holds open."""
        if self._frozen_cache:
            self._frozen_cache.close()

    def feed_data(self, data: dict) -> None:
        """The next batch; from pinned memory it is copied while the GPU still computes."""
        self.lq = data['lq'].to(self.device, non_blocking=True)
        if 'gt' in data:
            self.gt = data['gt'].to(self.device, non_blocking=True)

    def test(self) -> None:
        """Restore ``self.lq`` with the settings of inference below ``val:``."""
        network = getattr(self, 'net_g_ema', self.network)
        if self._restorer is None or self._restorer.network is not network:
            self._restorer = Restorer(network, self._inference_settings())
        self.output = self._restorer(self.lq)

    def _inference_settings(self) -> InferenceSettings:
        """Those below ``val:``; when trained weights are tested, and it names no window, the one that they want."""
        val, path = self.opt.get('val') or {}, self.opt['path'].get('pretrain_network_g')
        settings = InferenceSettings.from_options(val)
        if self.opt['is_train'] or not path or 'window' in val:
            return settings
        wanted = Wanted.of(WeightFile.read(path)).window
        if wanted is not None:
            get_root_logger().info(f'val.window: {wanted}, as {path} wants; `window: ~` takes none.')
        return replace(settings, window=wanted)

    def blur_maps(self) -> dict:
        """Heat maps of the picture ``self.lq`` for the page of a test: title to (H, W, 3) uint8 BGR."""
        network = getattr(self, 'net_g_ema', self.network)
        network.eval()
        try:
            return coloured(network, tensor2img([self.lq]))
        finally:
            network.train(self.opt['is_train'])

    def optimize_parameters(self, current_iter: int) -> None:
        """One step on the batch of :meth:`feed_data`, with the matrix products of the settings."""
        with matmul_precision(self.settings.float32_matmul_precision):
            self._optimize_parameters()

    def _optimize_parameters(self) -> None:
        self.optimizer_g.zero_grad()
        with autocast(self.device, self.settings.amp):
            frozen = self._frozen_cache.features(self.lq) if self._frozen_cache else None
            output = self._run(self.lq, frozen=frozen)
        self.output = output.to(self.lq)  # the loss in its full precision
        self.loss_terms = self._loss_terms()  # the guard of the step reads them
        total = sum(self.loss_terms.values())
        if self.scaler.is_enabled():
            refuse_unless_finite(total)  # no scale would help
        self.scaler.scale(total).backward()
        self.overflow = None
        if not scaled_step(self.scaler, self.optimizer_g):
            self.overflow = (
                f'the gradients overflow in {self.settings.amp}; their scale is {self.scaler.get_scale()} now'
            )
            return
        self.log_dict = {name: loss.detach() for name, loss in {**self.loss_terms, 'l_total': total}.items()}
        if self.ema_decay > 0:
            self.model_ema(self.ema_decay)

    def get_current_log(self) -> dict:
        """The terms of the newest loss, means over all processes; all of them must ask.

        Only here are they brought from the GPU, and from the other processes: an iteration need not wait for that.
        """
        if any(isinstance(value, Tensor) for value in self.log_dict.values()):
            self.log_dict = self.reduce_loss_dict(self.log_dict)
        return self.log_dict

    def _loss_terms(self) -> dict:
        if hasattr(self.cri_pix, 'terms'):
            return self.cri_pix.terms(self.output, self.gt)
        return {'l_pix': self.cri_pix(self.output, self.gt)}

    @torch.no_grad()
    def model_ema(self, decay: float = 0.999) -> None:
        """Average what trains, take over the buffers, and leave frozen parts alone to the last bit.

        Upstream averages frozen parameters too (x d + x (1 - d) is not x) and forgets the buffers.
        """
        if self._of_ema is None:
            self._of_ema = self._pairs_of_ema()
        averaged, trained, kept, buffers = self._of_ema
        torch._foreach_lerp_(averaged, trained, 1 - decay)
        for copy, buffer in zip(kept, buffers):
            copy.copy_(buffer)

    def _pairs_of_ema(self) -> tuple[list[Tensor], ...]:
        """Averaged and trained parameters, and the buffers of both networks: one list each, looked up once a stage."""
        parameters, buffers = dict(self.net_g_ema.named_parameters()), dict(self.net_g_ema.named_buffers())
        trained = {name: parameter for name, parameter in self.network.named_parameters() if parameter.requires_grad}
        own = dict(self.network.named_buffers())
        return [parameters[n] for n in trained], [*trained.values()], [buffers[n] for n in own], [*own.values()]

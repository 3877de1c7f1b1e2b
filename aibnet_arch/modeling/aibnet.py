"""AIBNet: an encoder and a chain of sub-decoders, Figure 2 (a)."""

from collections.abc import Sequence
from typing import Optional, Union

import torch
from torch import Tensor, nn

from ..errors import CheckpointError
from .arguments import check_arguments
from .encoders import ENCODERS
from .fusion import FUSIONS
from .padding import pad_to_multiple
from .signature import KEY, Signature
from .sub_decoder import LEVELS, SubDecoder

SCALE = 2**LEVELS  # e5 has 1/16 of the resolution


class AIBNet(nn.Module):
    """Adaptive Identification of Blurred Regions Network.

    The encoder makes five features e1 .. e5; sub-decoder 1 refines e1 .. e4 from the bottom e5 up,
    sub-decoder k + 1 refines the output of sub-decoder k, again from e5 up. Each sub-decoder's finest
    feature gives a residual image X_k, and the restored image is X_k plus the input (Section 3.1).

    Args:
        encoder: 'ufpnet' (the paper's choice) or 'nafnet'.
        width: w, channels at full resolution; that of the encoder's checkpoint.
        encoder_blocks: blocks of the encoder's four levels.
        middle_blocks: blocks of the encoder at 1/16 of the resolution.
        num_sub_decoders: s; AIBNet-S, B and L have 1, 2 and 4.
        blocks_per_level: N, SFDHBlocks of a level.
        num_masks: n_m of Eq. (5); 0 is dense attention.
        heads: attention heads, one number for all levels or four, finest level first.
        alpha_init: constant of Eq. (3).
        normalize_logits: L2-normalise Q and K along the positions; False reads Eq. (2) and (5) literally.
        decoupler_groups: groups of channels that share a low-pass filter (Eq. 4).
        sfem: False leaves SFEM out of the SFDHBlocks (Table 3).
        hfs_block: False leaves the HFSBlocks out (Table 3).
        masked_logits: what becomes of the logits that a mask of Eq. (6) does not keep: 'dropped' gives them no
            weight, 'zero' sets them to 0 before the softmax.
        fusion: what stands between sub-decoders, 'none', 'sam' or 'fuse' (Table 6 b, c): see :mod:`.fusion`.
        freeze_encoder: the encoder never trains. Otherwise it trains with the first sub-decoder.
        code_noise: draw UFPNet's Gaussian noise on its kernel code. Evaluation is then random.

    `arguments` are those of the constructor, and are saved with the weights (:mod:`.signature`).
    `frozen_dtype` (torch.bfloat16, say) runs the parts that are frozen in that precision during training.

    Raises:
        ValueError: a value that makes no network; the message names it.
    """

    def __init__(
        self,
        *,
        encoder: str = 'ufpnet',
        width: int = 64,
        encoder_blocks: Sequence[int] = (1, 1, 1, 28),
        middle_blocks: int = 1,
        num_sub_decoders: int = 1,
        blocks_per_level: int = 8,
        num_masks: int = 4,
        heads: Union[int, Sequence[int]] = 1,
        alpha_init: float = 0.8,
        normalize_logits: bool = True,
        decoupler_groups: int = 8,
        sfem: bool = True,
        hfs_block: bool = True,
        masked_logits: str = 'dropped',
        fusion: str = 'none',
        freeze_encoder: bool = True,
        code_noise: bool = False,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ('self', '__class__')}
        super().__init__()
        check_arguments(arguments)
        if not isinstance(encoder, str) or encoder not in ENCODERS:
            raise ValueError(f'encoder={encoder!r}: expected one of {", ".join(ENCODERS)}')
        if not isinstance(fusion, str) or fusion not in ('none', *FUSIONS):
            raise ValueError(f'fusion={fusion!r:.80}: expected one of none, {", ".join(FUSIONS)}')
        heads = (heads,) * LEVELS if isinstance(heads, int) else tuple(heads)
        self.arguments = {**arguments, 'encoder_blocks': list(encoder_blocks), 'heads': list(heads)}
        noise = {'code_noise': code_noise} if encoder == 'ufpnet' else {}
        if code_noise and not noise:
            raise ValueError('code_noise belongs to the ufpnet encoder')

        self.encoder_kind = encoder
        self.frozen_dtype: Optional[torch.dtype] = None
        self.freeze_encoder = freeze_encoder
        self.encoder = ENCODERS[encoder](
            width=width, encoder_blocks=encoder_blocks, middle_blocks=middle_blocks, **noise
        )
        self.sub_decoders = nn.ModuleList(
            SubDecoder(
                width=width,
                blocks_per_level=blocks_per_level,
                heads=heads,
                alpha_init=alpha_init,
                num_masks=num_masks,
                decoupler_groups=decoupler_groups,
                normalize_logits=normalize_logits,
                sfem=sfem,
                hfs_block=hfs_block,
                masked_logits=masked_logits,
            )
            for _ in range(num_sub_decoders)
        )
        gaps = 0 if fusion == 'none' else num_sub_decoders - 1
        self.fusions = nn.ModuleList(FUSIONS[fusion](width) for _ in range(gaps))
        self.set_stage(None)

    # Stages of training

    def set_stage(self, stage: Optional[int]) -> None:
        """Choose what trains and what runs (Section 3.4).

        Args:
            stage: k from 1 to s: sub-decoder k trains; the encoder and the sub-decoders before it are
                frozen (no gradient, evaluation mode, also after ``train()``), those after it do not run.
                An encoder that is not `freeze_encoder` trains in stage 1; a fusion with the sub-decoder behind it.
                None: everything runs and trains (direct training, Table 6 a), but a frozen encoder, and the
                residual convolutions that nothing uses because only the last sub-decoder's image is the output.

        Raises:
            ValueError: no such sub-decoder.
        """
        count = len(self.sub_decoders)
        if stage is not None and not 1 <= stage <= count:
            raise ValueError(f'stage {stage}: this network has sub-decoders 1 to {count}')
        self.stage = stage
        self.active_sub_decoders = stage or count
        self.encoder.requires_grad_(not self.freeze_encoder and stage in (None, 1))
        for number, sub_decoder in enumerate(self.sub_decoders, start=1):
            sub_decoder.requires_grad_(stage in (None, number))
            sub_decoder.to_residual.requires_grad_(number == self.active_sub_decoders)
        for number, fusion in enumerate(self.fusions, start=2):
            fusion.requires_grad_(stage in (None, number))
        self.train(self.training)

    def train(self, mode: bool = True) -> 'AIBNet':
        """Training mode for the parts that train; frozen parts stay in evaluation mode.

        Their batch norm statistics would drift otherwise.
        """
        super().train(mode)
        for part in (self.encoder, *self.sub_decoders, *self.fusions):
            part.train(mode and _trains(part))
        return self

    # Images

    def forward(self, image: Tensor, up_to: Optional[int] = None) -> Tensor:
        """Restore an image.

        Args:
            image: (B, 3, H, W), RGB in [0, 1], H and W from 1 up.
            up_to: stop after this sub-decoder; by default after the last one that is trained.

        Returns:
            (B, 3, H, W), the output of that sub-decoder, not clipped.
        """
        return self._restore(image, up_to, only_last=True)[0]

    def images(self, image: Tensor, up_to: Optional[int] = None) -> list[Tensor]:
        """The restored images of all sub-decoders in order: as :meth:`forward`, one for each."""
        return self._restore(image, up_to, only_last=False)

    def _restore(self, image: Tensor, up_to: Optional[int], *, only_last: bool) -> list[Tensor]:
        up_to = self.active_sub_decoders if up_to is None else up_to
        if not 1 <= up_to <= len(self.sub_decoders):
            raise ValueError(f'up_to={up_to}: this network has sub-decoders 1 to {len(self.sub_decoders)}')
        padded = pad_to_multiple(image, SCALE)
        *features, bottom = self._run(self.encoder, image, padded)
        height, width = image.shape[2:]
        images = []
        for number, sub_decoder in enumerate(self.sub_decoders[:up_to], start=1):
            if number > 1 and self.fusions:
                features = list(self._run(self.fusions[number - 2], image, features, padded))
            features = list(self._run(sub_decoder, image, features, bottom))
            if number == up_to or not only_last:
                with torch.set_grad_enabled(torch.is_grad_enabled() and _trains(sub_decoder)):
                    images.append(sub_decoder.to_residual(features[0])[:, :, :height, :width] + image)
        return images

    def _run(self, part: nn.Module, image: Tensor, *inputs: object) -> tuple[Tensor, ...]:
        """A part on its inputs: without gradient if it is frozen, and while others train in `frozen_dtype`."""
        trains, training = _trains(part), torch.is_grad_enabled()
        if self.frozen_dtype is None or trains or not training:
            with torch.set_grad_enabled(training and trains):
                return part(*inputs)
        with torch.no_grad(), torch.autocast(image.device.type, dtype=self.frozen_dtype):
            features = part(*inputs)
        return tuple(feature.to(image.dtype) for feature in features)

    def set_checkpointing(self, checkpointing: bool = True) -> None:
        """Train in less memory: the SFDHBlocks' intermediate results are computed again in the backward pass."""
        for sub_decoder in self.sub_decoders:
            for level in sub_decoder.levels:
                level.checkpointing = checkpointing

    def set_window(self, window: Optional[int]) -> None:
        """Take every statistic over a window instead of over the whole image, for testing on large images.

        A network trained on patches has seen statistics of patches. This is TLC (test-time local converter,
        Chu et al., ECCV 2022) for all of them: the pools of channel attention and Decoupler are means over
        the window around each position, the attention maps those of overlapping windows, averaged. NAFNet
        and UFPNet are tested so, with windows of 1.5 times the training patch.

        Args:
            window: pixels of the image, a multiple of 16 (384 for patches of 256); None: the whole image.

        Raises:
            ValueError: not a positive multiple of 16.
        """
        if window is not None and (window < SCALE or window % SCALE):
            raise ValueError(f'window={window}: expected a positive multiple of {SCALE}')
        stages = [*self.encoder.encoders, self.encoder.middle_blks]
        levels = [*enumerate(stages), *(pair for part in self.sub_decoders for pair in enumerate(part.levels))]
        for level, part in levels:
            for module in part.modules():
                if hasattr(module, 'window'):
                    module.window = None if window is None else window >> level

    # Weights

    def get_extra_state(self) -> Tensor:
        """The network's signature, which is saved with its weights."""
        return Signature(trained=self.active_sub_decoders, arguments=self.arguments).to_tensor()

    def set_extra_state(self, state: Tensor) -> None:
        """Take over how many sub-decoders are trained.

        Raises:
            CheckpointError: the weights are of a network that computes something else.
        """
        signature = Signature.of({KEY: state})
        signature.check_arguments(self.arguments)
        count = len(self.sub_decoders)
        if signature.trained > count:
            raise CheckpointError(f'the weights have {signature.trained} trained sub-decoders, this network {count}')
        self.active_sub_decoders = signature.trained


def _trains(part: nn.Module) -> bool:
    return any(parameter.requires_grad for parameter in part.parameters())

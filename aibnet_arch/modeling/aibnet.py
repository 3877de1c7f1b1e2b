"""AIBNet: an encoder and a chain of sub-decoders, Figure 2 (a)."""

from collections.abc import Sequence
from typing import Any, Optional, Union

import torch
from torch import Tensor, nn

from .arguments import check_arguments
from .encoders import ENCODERS
from .fusion import FUSIONS
from .lean import SCALE, Lean, is_captured
from .level_settings import LEVELS, LevelSettings
from .padding import pad_to_multiple
from .signed_module import SignedModule
from .staged_module import StagedModule, trains
from .sub_decoder import SubDecoder


class AIBNet(SignedModule, StagedModule):
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
        alpha_deviation: of the noise that the vectors of Eq. (3) start as.
        normalize_logits: L2-normalise Q and K along the positions; False reads Eq. (2) and (5) literally.
        logit_scale: of the logits Q T(K): 'temperature' multiplies by a learned temperature (1 / beta of Eq. 2 and
            5), as Restormer and MHNet do; 'beta' divides by a learned beta, as printed.
        logit_scale_init: what that starts at; None: sqrt(C/heads).
        decoupler_groups: groups of channels that share a low-pass filter (Eq. 4).
        sfem: False leaves SFEM out of the SFDHBlocks (Table 3).
        spatial: what stands in SFEM's place in the SFDHBlocks, a name in :data:`.SPATIAL_MODULES`.
        sfem_weight: W of Eq. (1), 'channel': one entry for each channel, 'scalar': one.
        branch_scale: scale the SFDHBlocks' SCA and feed-forward part by learned parameters, one for each channel, that
            start at zero, as in NAFNet.
        hfs_block: False leaves the HFSBlocks out (Table 3).
        masked_logits: what becomes of the logits that a mask of Eq. (6) does not keep: 'dropped' gives them no
            weight, 'zero' sets them to 0 before the softmax.
        lambda_init: what the lambda of Eq. (5) start at; None: 1 / n_m.
        fusion: what stands between sub-decoders, 'none', 'sam' or 'fuse' (Table 6 b, c): see :mod:`.fusion`.
        freeze_encoder: the encoder never trains. Otherwise it trains with the first sub-decoder.
        code_noise: draw UFPNet's Gaussian noise on its kernel code. Evaluation is then random.

    Attributes:
        arguments: those of the constructor, saved with the weights (:mod:`.signature`).
        stage: see :meth:`set_stage`.
        active_sub_decoders: how many sub-decoders run by default, those that are trained.
        lean: how parts run from which no gradient is wanted: in less time and memory, with the same result, and if
            asked in windows or another precision (:class:`.Lean`). None: always by their equations, so that hooks and
            breakpoints inside of them are met.

    Raises:
        ArgumentsError: values that make no network; the message, a ValueError's, names them all.
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
        alpha_deviation: float = 0.1,
        normalize_logits: bool = True,
        logit_scale: str = 'temperature',
        logit_scale_init: Optional[float] = None,
        decoupler_groups: int = 8,
        sfem: bool = True,
        spatial: str = 'sfem',
        sfem_weight: str = 'channel',
        branch_scale: bool = False,
        hfs_block: bool = True,
        masked_logits: str = 'dropped',
        lambda_init: Optional[float] = None,
        fusion: str = 'none',
        freeze_encoder: bool = True,
        code_noise: bool = False,
    ) -> None:
        arguments = {name: value for name, value in locals().items() if name not in ('self', '__class__')}
        super().__init__()
        check_arguments(arguments)
        heads = (heads,) * LEVELS if isinstance(heads, int) else tuple(heads)
        self.arguments = {**arguments, 'encoder_blocks': list(encoder_blocks), 'heads': list(heads)}
        noise = {'code_noise': code_noise} if encoder == 'ufpnet' else {}

        self.encoder_kind = encoder
        self.lean: Optional[Lean] = Lean()
        self.freeze_encoder = freeze_encoder
        self.encoder = ENCODERS[encoder](
            width=width, encoder_blocks=encoder_blocks, middle_blocks=middle_blocks, **noise
        )
        levels = [LevelSettings.of(self.arguments, level) for level in range(LEVELS)]
        self.sub_decoders = nn.ModuleList(SubDecoder(levels) for _ in range(num_sub_decoders))
        gaps = 0 if fusion == 'none' else num_sub_decoders - 1
        self.fusions = nn.ModuleList(FUSIONS[fusion](width) for _ in range(gaps))
        self.set_stage(None)

    # Images

    def forward(self, image: Tensor, up_to: Optional[int] = None, frozen: Optional[Sequence[Tensor]] = None) -> Tensor:
        """Restore an image.

        Args:
            image: (B, 3, H, W), RGB in [0, 1], H and W from 1 up.
            up_to: stop after this sub-decoder; by default after the last one that is trained.
            frozen: what :meth:`frozen_features` gave for the image in this stage; by default it is computed.

        Returns:
            (B, 3, H, W), the output of that sub-decoder, not clipped.
        """
        return self._restore(image, up_to, only_last=True, frozen=frozen)[0]

    def images(self, image: Tensor, up_to: Optional[int] = None) -> list[Tensor]:
        """The restored images of all sub-decoders in order: as :meth:`forward`, one for each."""
        return self._restore(image, up_to, only_last=False)

    def frozen_features(self, image: Tensor) -> tuple[Tensor, ...]:
        """What the parts before the one that trains (:attr:`frozen_before`) give for an image, (B, 3, H, W).

        Returns:
            Four features, finest first, those of the encoder or the last frozen sub-decoder, and e5.
        """
        assert self.frozen_before is not None, 'the encoder trains'
        padded = pad_to_multiple(image, SCALE)
        *features, bottom = self._run(self.encoder, padded)
        for number in range(1, self.frozen_before + 1):
            features = self._refined(number, features, bottom, padded)
        return (*features, bottom)

    def _refined(self, number: int, features: list[Tensor], bottom: Tensor, padded: Tensor) -> list[Tensor]:
        """d1 .. d4 of the sub-decoder of that number, from 1."""
        if number > 1 and self.fusions:
            features = list(self._run(self.fusions[number - 2], features, padded))
        return list(self._run(self.sub_decoders[number - 1], features, bottom))

    def _restore(
        self, image: Tensor, up_to: Optional[int], *, only_last: bool, frozen: Optional[Sequence[Tensor]] = None
    ) -> list[Tensor]:
        up_to = self.active_sub_decoders if up_to is None else up_to
        if not 1 <= up_to <= len(self.sub_decoders):
            raise ValueError(f'up_to={up_to}: this network has sub-decoders 1 to {len(self.sub_decoders)}')
        height, width = image.shape[2:]
        padded = pad_to_multiple(image, SCALE)  # I
        *features, bottom = frozen or self._run(self.encoder, padded)  # e1 .. e4, e5
        done = (self.frozen_before or 0) if frozen else 0
        images = []
        for number in range(done + 1, up_to + 1):
            features = self._refined(number, features, bottom, padded)  # d1 .. d4 of sub-decoder s
            sub_decoder: Any = self.sub_decoders[number - 1]
            if number == up_to or not only_last:
                with torch.set_grad_enabled(torch.is_grad_enabled() and trains(sub_decoder)):
                    images.append(sub_decoder.to_residual(features[0])[:, :, :height, :width] + image)  # X_s + I
        return images

    def _run(self, part: nn.Module, *inputs: Any) -> tuple[Tensor, ...]:
        """Run the encoder, a sub-decoder or a fusion. Here it is chosen how (the lean run asks each block in turn).

        By its equations, which are its ``forward``, if a gradient is wanted, with ``lean = None``, and while a graph
        is captured from it (a compiler makes it lean by itself); otherwise, frozen parts in training too, lean.
        """
        wants_gradient = torch.is_grad_enabled() and trains(part)
        lean = self.lean
        if lean is None or wants_gradient:
            if wants_gradient and lean is not None and lean.window is not None:
                raise RuntimeError('a window is for inference: run the network under torch.no_grad()')
            with torch.set_grad_enabled(wants_gradient):
                return part(*inputs)
        return lean.run(part, *inputs, by_equations=is_captured() and lean.window is None)

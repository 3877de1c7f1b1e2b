"""What AIBNetModel and WeightsModel read beside what SRModel reads."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Annotated, Any, Optional, get_args, get_type_hints

from pydantic import Field, create_model

from ...inference.matmul_precision import MatmulPrecision
from ...inference.restorer import InferenceSettings
from .kinds import (
    OURS,
    TRAINING,
    CountsOrZero,
    ExactCount,
    ExactCountOrZero,
    Keys,
    OneOf,
    Positive,
    Precision,
    Section,
    Switch,
    Text,
    keys_like,
    needed,
    optional,
)
from .signatures import described
from .train import Loss

STRATEGIES = ('progressive', 'direct')
# The plan of stages refuses others, with what hangs on it; this tells editors.
Strategy = Annotated[Text, Field(json_schema_extra={'enum': list(STRATEGIES)})]
Matmul = Annotated[str, OneOf(get_args(MatmulPrecision))]


class AIBNetPath(Section):
    """`path:` of AIBNetModel."""

    pretrain_network_encoder: Optional[Text] = optional('published weights of the encoder', whose=OURS)
    pretrain_network_stages: Optional[Text] = optional(
        'an AIBNet with fewer sub-decoders: the stages of 0 iterations', whose=OURS
    )


class FrozenCache(Section):
    """`train.frozen_cache:`"""

    folder: Text = needed('of this run alone while it trains', whose=OURS)
    gigabytes: Positive = needed('at most this much is taken there', whose=OURS)


class AIBNetTrain(Section):
    """`train:` of AIBNetModel."""

    pixel_opt: Optional[Loss] = needed('the loss of Eq. (7), {type: AIBNetLoss}', when=TRAINING, whose=OURS)
    strategy: Optional[Strategy] = optional(
        'progressive: one sub-decoder after the other; direct: all at once', 'progressive', whose=OURS
    )
    stage_iter: Optional[CountsOrZero] = optional(
        'iterations of each stage, total_iter in all; 0: trained before', whose=OURS
    )
    amp: Optional[Precision] = optional('precision of what trains; the loss stays in float32', whose=OURS)
    frozen_precision: Optional[Precision] = optional('precision of the frozen parts, where amp is not set', whose=OURS)
    float32_matmul_precision: Optional[Matmul] = optional(
        "of matrix products on GPUs: highest (torch's default), high (TF32) or medium", whose=OURS
    )
    channels_last: Optional[Switch] = optional('weights in channels-last layout', False, whose=OURS)
    compile: Optional[Switch] = optional('run the network through torch.compile', False, whose=OURS)
    checkpointing: Optional[Switch] = optional(
        'compute blocks again instead of keeping their results', False, whose=OURS
    )
    frozen_cache: Annotated[Optional[FrozenCache], keys_like('e.g. {folder: cache, gigabytes: 20}')] = optional(
        'keep on disk what the frozen parts give for each of datasets.train.fixed_crops (docs/training.md)', whose=OURS
    )
    sync_batch_norm: Optional[Switch] = optional(
        'of several processes: batch norm over the images of all', True, whose=OURS
    )


class Tiles(Section):
    """`val.tiles:`"""

    size: ExactCount = needed('side of a tile, pixels', whose=OURS)
    overlap: ExactCountOrZero = needed('of two tiles, pixels; less than half the size', whose=OURS)


# Names, defaults and meanings are those of the settings themselves; what their types stand for in an option file:
_KINDS: dict[Any, Any] = {
    bool: Optional[Switch],
    Optional[int]: Optional[ExactCount],
    Optional[str]: Optional[Precision],
    Optional[MatmulPrecision]: Optional[Matmul],
    Optional[Mapping[str, int]]: Annotated[Optional[Tiles], keys_like('e.g. {size: 512, overlap: 32}')],
}
_hints, _meaning = get_type_hints(InferenceSettings), described(InferenceSettings)
_SETTINGS: dict[str, Any] = {
    each.name: (_KINDS[_hints[each.name]], optional(_meaning[each.name], each.default, whose=OURS))
    for each in fields(InferenceSettings)
}
AIBNetVal: type[Section] = create_model('AIBNetVal', __base__=Section, **_SETTINGS)
OF_AIBNET_MODEL: dict[str, type[Section]] = {'path': AIBNetPath, 'train': AIBNetTrain, 'val': AIBNetVal}


class WeightsRun(Section):
    """The top level of WeightsModel."""

    weights: Keys = needed('names, and the files of weights that are tested', whose=OURS)
    network_g: Optional[Keys] = optional('the network of files that do not tell theirs', whose=OURS)


OF_WEIGHTS_MODEL: dict[str, type[Section]] = {'': WeightsRun, 'val': AIBNetVal}

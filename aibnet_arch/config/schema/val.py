"""`val:`, what validation and test do."""

from typing import Annotated, Any, Literal, Optional

from pydantic import BeforeValidator, WithJsonSchema

from .kinds import (
    OURS,
    TRAINING,
    Call,
    Count,
    ExactCount,
    ExactCountOrZero,
    FileName,
    Section,
    Switch,
    Told,
    keys_like,
    needed,
    optional,
)


class Metric(Call):
    """`val.metrics.<name>:`; its signature declares the other keys."""

    crop_border: ExactCountOrZero = optional('pixels that are cut from each side')
    test_y_channel: Optional[Switch] = optional('measure the luma alone', False)
    better: Annotated[Literal['higher', 'lower'], Told('higher or lower')] = optional(
        'which values are the better ones, where the metric is not known', whose=OURS
    )


class Page(Section):
    """`val.page:`"""

    blur_maps: Optional[Switch] = optional("beside each picture, where the network's parts see blur", False, whose=OURS)


def _page(value: Any) -> Any:
    """The short form, true, is the page with its defaults."""
    return ({} if value else None) if isinstance(value, bool) else value


PageOrSwitch = Annotated[
    Optional[Page],
    keys_like('true, or {blur_maps: true}'),
    BeforeValidator(_page),
    WithJsonSchema({'anyOf': [{'type': ['boolean', 'null']}, Page.model_json_schema()]}),
]


class Val(Section):
    """`val:`"""

    val_freq: Optional[Count] = needed('iterations between two validations', when=TRAINING)
    save_img: Switch = needed('write the restored pictures')
    metrics: Optional[dict[str, Metric]] = optional('name to {type: ..., and what the metric takes}')
    pbar: Optional[Switch] = optional('a progress bar', False)
    suffix: Optional[FileName] = optional('of the names of restored pictures; ~: the name of the run')
    pad_to: Optional[ExactCount] = optional('pad pictures to a multiple of this and crop back', 1, whose=OURS)
    pad_to_square: Optional[Switch] = optional('and to squares, as Uformer needs it', False, whose=OURS)
    measure_input: Optional[Switch] = optional('measure the input too: its figures and the gains', True, whose=OURS)
    metric_processes: Optional[ExactCountOrZero] = optional(
        'processes for the metrics, 0 for none; ~: one for each core if they take more than 20 seconds', whose=OURS
    )
    page: PageOrSwitch = optional('a test writes a page of before and after; true, or {blur_maps: true}', whose=OURS)

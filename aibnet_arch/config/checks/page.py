"""Check of ``val.page``, the page that a test writes."""

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ...evaluation.result_page import SETTINGS
from ...messages import did_you_mean
from .required import called


def check_page(opt: Mapping[str, Any], model: Optional[type], *, is_train: bool) -> Iterator[str]:
    """What is wrong with ``val.page``, a message each.

    Args:
        opt: the options.
        model: the registered class of `model_type`; None if it is not registered.
        is_train: training or testing.
    """
    settings = (opt.get('val') or {}).get('page')
    if settings is None or settings is False:
        return
    if settings is not True and not isinstance(settings, Mapping):
        yield f'val.page: {settings!r}: expected true, or {{blur_maps: true}}'
        return
    if is_train:
        yield 'val.page: only `basicsr test` writes a page; leave it out of the options of a training'
    for key, value in ({} if settings is True else settings).items():
        if key not in SETTINGS:
            yield f'val.page.{key}: nothing reads this key{did_you_mean(key, SETTINGS)}'
        elif value is not None and not isinstance(value, bool):
            yield f'val.page.{key}: {value!r}: expected true or false'
        elif value and model and not hasattr(model, 'blur_maps'):
            yield f'val.page.{key}: {model.__name__} gives no blur maps'
    if model and not _validates_as_srmodel(model):
        yield f'val.page: {model.__name__} validates by a method of its own, which writes no page'


def _validates_as_srmodel(model: type) -> bool:
    from basicsr.models.sr_model import SRModel

    try:  # ours takes the place of SRModel's; a class may call it from its own
        return SRModel.nondist_validation in called(model, 'nondist_validation')
    except OSError:  # without its source nothing is known
        return True

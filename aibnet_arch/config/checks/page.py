"""Check of ``val.page``, the page that a test writes."""

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..problems import Problem, problem


def check_page(opt: Mapping[str, Any], model: Optional[type], *, is_train: bool) -> Iterator[Problem]:
    """What is wrong with ``val.page``, whose keys are sound.

    Args:
        model: the registered class of `model_type`; None if it is not registered.
    """
    settings = (opt.get('val') or {}).get('page')
    if settings is None or settings is False:
        return
    if is_train:
        text = 'only `basicsr test` writes a page; leave it out of the options of a training'
        yield problem('val.page', text)
    if model and settings is not True and settings.get('blur_maps') and not hasattr(model, 'blur_maps'):
        yield problem('val.page.blur_maps', f'{model.__name__} gives no blur maps')
    if model and not _validates_as_srmodel(model):
        yield problem('val.page', f'{model.__name__} validates by a method of its own, which writes no page')


def _validates_as_srmodel(model: type) -> bool:
    """Whether its validation is SRModel's, in whose place ours stands, or calls it."""
    from basicsr.models.sr_model import SRModel

    for base in model.__mro__:
        own = vars(base).get('nondist_validation')
        if own is not None and (base is SRModel or 'nondist_validation' not in own.__code__.co_names):
            return base is SRModel
    return False

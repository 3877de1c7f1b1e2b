"""Which keys the classes that an option file names read: declared in the schema, or by the classes themselves.

A class of another package declares its own in one attribute, beside what its bases declare::

    class MyModel(SRModel):
        OPTIONS = {'train': MyTrain}  # sections: '' is the top level, 'train', 'val', 'path', 'logger'

    class MyDataset(PairedImageDataset):
        OPTIONS = MyDatasetOptions

where MyTrain and MyDatasetOptions are pydantic models.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional, get_args

from pydantic import BaseModel, create_model

from ...registries.lookup import is_trusted
from .aibnet import OF_AIBNET_MODEL, OF_WEIGHTS_MODEL
from .datasets import OF_DATASETS, Loading
from .models import OF_MODELS

ATTRIBUTE = 'OPTIONS'
ERROR, WARNING, UNKNOWN = 'error', 'warning', 'unknown'
SECTIONS = ('', 'train', 'val', 'path', 'logger')
_OF_MODELS = {**OF_MODELS, 'AIBNetModel': OF_AIBNET_MODEL, 'WeightsModel': OF_WEIGHTS_MODEL}


@dataclass(frozen=True)
class Declared:
    """Keys of a class.

    Attributes:
        sections: section to model; of a dataset there is one, ''.
        other_keys: what a key that is not among them is: an ERROR, a WARNING if the class itself declares nothing
            and so may read it, or UNKNOWN if there is no such class.
    """

    sections: Mapping[str, type[BaseModel]]
    other_keys: str


def keys_of_model(cls: Optional[type]) -> Declared:
    """The keys that a model class and the pipelines read; None: of any model class."""
    found: dict[str, list[type[BaseModel]]] = {section: [] for section in SECTIONS}
    for base in cls.__mro__ if cls else ():
        for section, model in (_own(base, _OF_MODELS) or {}).items():
            found[section].append(model)
    for section, model in OF_MODELS['BaseModel'].items():
        found[section].append(model)
    return Declared({section: _joined(models) for section, models in found.items()}, _other_keys(cls, _OF_MODELS))


def keys_of_dataset(cls: Optional[type]) -> Declared:
    """The keys that a dataset and its loader read; None: of any dataset."""
    models = [_own(base, OF_DATASETS) for base in cls.__mro__] if cls else []
    return Declared({'': _joined([model for model in (*models, Loading) if model])}, _other_keys(cls, OF_DATASETS))


def _own(cls: type, known: Mapping[str, Any]) -> Optional[Any]:
    """What a class declares beside its bases, or None."""
    return vars(cls).get(ATTRIBUTE, known.get(cls.__name__) if is_trusted(cls) else None)


def _other_keys(cls: Optional[type], known: Mapping[str, Any]) -> str:
    if cls is None:
        return UNKNOWN
    return WARNING if _own(cls, known) is None else ERROR


def _joined(models: list[type[BaseModel]]) -> type[BaseModel]:
    """One model with the keys of all, those of the first ones winning."""
    bases = [model for n, model in enumerate(models) if not any(issubclass(o, model) for o in models[:n])]
    bases = [model for n, model in enumerate(bases) if not any(issubclass(o, model) for o in bases[n + 1 :])]
    return bases[0] if len(bases) == 1 else create_model(bases[0].__name__, __base__=tuple(bases))


def submodel(model: type[BaseModel], key: str) -> Optional[type[BaseModel]]:
    """The model of what stands below a key; of `metrics`, that of each metric."""
    field = model.model_fields.get(key)
    return next(_models(field.annotation), None) if field else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def names(model: type[BaseModel]) -> list[str]:
    """The keys of a model."""
    return list(model.model_fields)


def needed_when(model: type[BaseModel], when: str) -> list[str]:
    """Keys that must be there in training, or in testing, or at the top level."""
    extras = {name: field.json_schema_extra for name, field in model.model_fields.items()}
    return [name for name, extra in extras.items() if isinstance(extra, dict) and extra.get('needed') == when]

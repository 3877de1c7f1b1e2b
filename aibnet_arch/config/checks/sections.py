"""The sections of an option file, and the declared keys of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ..schema.declared import SECTIONS, Declared


@dataclass(frozen=True)
class Given:
    """A section as it is given.

    Attributes:
        place: '' (the top level), 'train', 'datasets.val' and so on.
        other_keys: what a key is that it does not declare, see :class:`.Declared`.
    """

    place: str
    options: Mapping[str, Any]
    keys: type[BaseModel]
    other_keys: str

    def at(self, key: str) -> str:
        """The place of a key."""
        return f'{self.place}.{key}' if self.place else key

    def errors(self) -> list[ErrorDetails]:
        """What pydantic finds in it."""
        try:
            self.keys.model_validate(self.options)
        except ValidationError as error:
            return error.errors(include_url=False, include_context=False)
        return []


def given_sections(opt: Mapping[str, Any], model: Declared, datasets: Mapping[str, Declared]) -> Iterator[Given]:
    """The sections that are there, and are keys and values."""
    for section in SECTIONS:
        options: Optional[Any] = opt.get(section) if section else opt
        if isinstance(options, Mapping):
            yield Given(section, options, model.sections[section], model.other_keys)
    for phase, declared in datasets.items():
        yield Given(f'datasets.{phase}', opt['datasets'][phase], declared.sections[''], declared.other_keys)

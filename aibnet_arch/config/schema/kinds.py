"""What an option can be: pydantic types that say in words what they expect, and how a section declares its keys."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Optional

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, Strict, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ...messages import did_you_mean

LONGEST_NAME = 200  # bytes; file systems have 255, and BasicSR appends times and endings
OURS = 'this package'
TRAINING, TESTING, TOP = 'training', 'testing', 'top'


@dataclass(frozen=True)
class Told:
    """What the type before it expects, in words: they end the message "expected ..."."""

    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        def validate(value: Any, inner: Callable[[Any], Any]) -> Any:
            try:
                return inner(value)
            except ValidationError:
                raise PydanticCustomError('expected', f'expected {self.words}') from None

        return core_schema.no_info_wrap_validator_function(validate, handler(source))


@dataclass(frozen=True)
class OneOf:
    """One of a few names."""

    names: tuple[str, ...]

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], CoreSchema]) -> CoreSchema:
        def validate(value: Any) -> Any:
            if value not in self.names:
                hint = did_you_mean(value, self.names)
                raise PydanticCustomError('expected', f'expected one of {", ".join(self.names)}{hint}')
            return value

        return core_schema.no_info_plain_validator_function(validate)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: Any) -> dict[str, Any]:
        return {'enum': list(self.names)}


def keys_like(example: str) -> BeforeValidator:
    """Of a section: what else is given is told with an example."""

    def validate(value: Any) -> Any:
        if value is not None and not isinstance(value, Mapping):
            raise PydanticCustomError('expected', f'expected {example}')
        return value

    return BeforeValidator(validate)


def _no_text(value: Any) -> Any:
    """Python's int() takes '5' and True."""
    if isinstance(value, (str, bool)):
        raise ValueError
    return value


def _names_file(value: str) -> str:
    if not value.strip() or not value.isprintable() or value in ('.', '..') or len(value.encode()) > LONGEST_NAME:
        raise ValueError
    return value


def _weight(value: Any) -> Any:
    if isinstance(value, (str, bool, Mapping)) or value is None:
        raise ValueError
    return value


Switch = Annotated[bool, Strict(), Told('true or false')]
Text = Annotated[str, Strict(), Field(pattern=r'^[^\x00]*[^\s\x00][^\x00]*$'), Told('a text')]
FileName = Annotated[
    str,
    Strict(),
    Field(pattern='^[^/]+$'),
    AfterValidator(_names_file),
    Told(f'a text that can name a file: printable, no slash, up to {LONGEST_NAME} bytes'),
]
_WHOLE = BeforeValidator(_no_text)  # `!!float 5e3` is one, too
# numpy's limit is twice that; each process adds its rank.
Seed = Annotated[int, Strict(), Field(ge=0, le=2**31 - 1), Told(f'a whole number from 0 to {2**31 - 1}')]
Count = Annotated[int, Field(ge=1), _WHOLE, Told('a whole number from 1 up')]
CountOrZero = Annotated[int, Field(ge=0), _WHOLE, Told('a whole number from 0 up')]
# Where BasicSR hands the number on to what takes no 5.0.
ExactCount = Annotated[int, Strict(), Field(ge=1), Told('a whole number from 1 up')]
ExactCountOrZero = Annotated[int, Strict(), Field(ge=0), Told('a whole number from 0 up')]
Warmup = Annotated[int, Field(ge=-1), _WHOLE, Told('a whole number of iterations, or -1 for none')]
_Float = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Number = Annotated[_Float, Told('a number')]
Positive = Annotated[_Float, Field(gt=0), Told('a number above 0')]
NotNegative = Annotated[_Float, Field(ge=0), Told('a number from 0 up')]
Decay = Annotated[_Float, Field(ge=0, lt=1), Told('a number from 0 to below 1')]
Share = Annotated[_Float, Field(ge=0, le=1), Told('a number from 0 to 1')]
# Of a loss: what is not one of these is tried.
Weight = Annotated[Any, AfterValidator(_weight), Told('a number')]
Betas = Annotated[list[Decay], Field(min_length=2, max_length=2), Told('two numbers from 0 to below 1')]
Numbers = Annotated[list[Number], Field(min_length=1), Told('a list of numbers')]
Range = Annotated[list[Number], Field(min_length=2, max_length=2), Told('two numbers')]
Counts = Annotated[list[Count], Field(min_length=1), Told('a list of whole numbers from 1 up')]
CountsOrZero = Annotated[list[CountOrZero], Field(min_length=1), Told('a list of whole numbers from 0 up')]
Texts = Annotated[list[Text], Field(min_length=1), Told('a list of texts')]
Keys = dict[str, Any]  # a section that other models or signatures declare
Precision = Annotated[Literal['bf16', 'fp16'], Told('bf16, fp16 or ~ (float32)')]


class Section(BaseModel):
    """Keys and values; nothing reads a key that it does not declare."""

    model_config = ConfigDict(extra='forbid', defer_build=True)


class Call(BaseModel):
    """Keys that a registered class or function is called with: its signature declares the others."""

    model_config = ConfigDict(extra='allow', defer_build=True)

    type: Any = Field(None, description='the name under which it is registered')


def needed(what: str, *, when: Optional[str] = None, whose: str = 'BasicSR') -> Any:
    """A key that must be there.

    Args:
        what: what it does.
        when: only in TRAINING or in TESTING; TOP: what must be there is the key of that name at the top level.
        whose: who reads it.
    """
    return Field(None if when else ..., description=what, json_schema_extra={'needed': when or '', 'whose': whose})


def optional(what: str, default: Any = None, *, whose: str = 'BasicSR') -> Any:
    """A key that may be left out, with what it is then."""
    return Field(default, description=what, json_schema_extra={'whose': whose})

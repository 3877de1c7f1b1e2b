"""What a signature and its docstring say of the options that a class or function takes: they are declared there."""

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import TypeAdapter

from ...registries.lookup import is_trusted


@dataclass(frozen=True)
class Taken:
    """The keywords that a class or function takes.

    Attributes:
        parameters: name to parameter, without those that take the rest.
        takes_any: whether it may read others. BasicSR's take them, and read none.
    """

    parameters: dict[str, inspect.Parameter]
    takes_any: bool


def taken(called: Callable) -> Taken:
    """What can be given as keywords."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    parameters = inspect.signature(called).parameters.values()
    others = any(each.kind is each.VAR_KEYWORD for each in parameters)
    return Taken({each.name: each for each in parameters if each.kind in kinds}, others and not is_trusted(called))


def described(called: Callable) -> dict[str, str]:
    """Name to meaning, of `Args:` or `Attributes:` in a docstring of Google's style."""
    section = re.search(
        r'^(?:Args|Attributes):\n((?:[ ]+.*\n?|\n)*)', f'{inspect.getdoc(called) or ""}\n', re.MULTILINE
    )
    entries: list[tuple[str, str]] = []  # names, meaning
    for line in section[1].splitlines() if section else ():
        found = re.match(r' {4}([a-z_0-9, ]+?)(?: \([^)]*\))?: (.*)', line)
        if found:
            entries.append((found[1], found[2]))
        elif entries:
            entries[-1] = entries[-1][0], f'{entries[-1][1]} {line.strip()}'
    plain = ((names, re.sub(r':\w+:`[.~]?([^`]+)`', r'`\1`', meaning)) for names, meaning in entries)  # no Sphinx roles
    return {name: meaning.strip(' .') for names, meaning in plain for name in names.split(', ')}


def json_schema(called: Callable, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The JSON Schema of its keywords: types of the annotations, defaults, meanings."""
    hints = get_type_hints(called.__init__ if inspect.isclass(called) else called)
    meaning = described(called)
    properties: dict[str, Any] = {}
    required = []
    for name, parameter in taken(called).parameters.items():
        if name in (*without, 'self'):
            continue
        schema = TypeAdapter(hints[name]).json_schema() if name in hints else {}
        if name in meaning:
            schema['description'] = meaning[name]
        if parameter.default is parameter.empty:
            required.append(name)
        else:
            default = parameter.default
            schema['default'] = list(default) if isinstance(default, tuple) else default
        properties[name] = schema
    return {'properties': properties, 'required': required, 'additionalProperties': taken(called).takes_any}

"""Read option files: safely, with duplicate keys refused, and knowing on which line each key stands."""

import os
import re
from collections import OrderedDict
from collections.abc import Hashable
from copy import deepcopy
from pathlib import Path
from typing import Any, Union

import yaml

from ..errors import OptionError
from ..messages import printable


class _Loader(yaml.SafeLoader):
    """SafeLoader for option files: mappings keep their order, a key may stand once, 1e-3 is a number."""

    def __init__(self, stream: str, name: str) -> None:
        super().__init__(stream)
        self.name = name
        self.problems: list[str] = []

    def mapping(self, node: yaml.MappingNode) -> OrderedDict:
        self._refuse_duplicates(node)
        self.flatten_mapping(node)  # merge keys, `<<`
        return OrderedDict(self.construct_pairs(node, deep=True))

    def whole_number(self, node: yaml.ScalarNode) -> int:
        value = self.construct_yaml_int(node)
        if value.bit_length() > MOST_BITS:  # Python itself refuses to print some of those
            raise yaml.constructor.ConstructorError(
                None, None, f'a number of {value.bit_length():,d} bits: no option takes it', node.start_mark
            )
        return value

    def _refuse_duplicates(self, node: yaml.MappingNode) -> None:
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            key, line = key_node.value, key_node.start_mark.line + 1
            if isinstance(key, str) and key in lines and key != '<<':
                self.problems.append(f'{self.name}, line {line}: the key {key!r} stands on line {lines[key]} already')
            elif isinstance(key, str):
                lines[key] = line


# YAML 1.1, which PyYAML reads, wants 1.0e-3; people write 1e-3, and YAML 1.2 agrees with them.
_FLOAT = re.compile(r'^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$')
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _Loader.mapping)
_Loader.add_constructor('tag:yaml.org,2002:int', _Loader.whole_number)
_Loader.add_implicit_resolver('tag:yaml.org,2002:float', _FLOAT, list('-+.0123456789'))

# No option file comes near: beyond, it is a data file by mistake, or made to fill the memory.
LARGEST = 1_000_000  # bytes
MOST_VALUES = 100_000
MOST_BITS = 2048  # of a whole number


def load_option_file(path: Union[str, Path]) -> OrderedDict:
    """Read a YAML option file.

    Only plain data comes out of it: tags that would build Python objects are refused, and nothing in
    the file is executed. Mappings that an anchor shares are copied, since BasicSR changes its options.

    Raises:
        OptionError: the file is missing, no YAML, no mapping, or names a key twice; all places are told.
    """
    path = Path(path)
    if not os.path.isfile(path):
        raise OptionError([f'no option file {printable(path)}'])
    if path.stat().st_size > LARGEST:
        raise OptionError([f'{printable(path)} has {path.stat().st_size:,d} bytes: that is no option file'])
    try:
        text = path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise OptionError([f'{printable(path)} is no text file: {error}']) from error
    options = parse_yaml(text, name=printable(path))
    if not isinstance(options, OrderedDict):
        raise OptionError([f'{printable(path)} must hold keys and values, not a {type(options).__name__}'])
    return options


def parse_yaml(text: str, *, name: str) -> Any:
    """Read YAML as option files are read; `name` stands in the messages.

    Raises:
        OptionError: see :func:`load_option_file`.
    """
    try:
        loader = _Loader(text, name)
        node = loader.get_single_node()
        if _count(node, {}) > MOST_VALUES:
            raise OptionError([f'{name}: its anchors stand for more than {MOST_VALUES:,d} values'])
        value = None if node is None else _unshared(loader.construct_document(node))
    except OptionError:
        raise
    except yaml.constructor.ConstructorError as error:
        raise OptionError([f'{_place(name, error)}: {error.problem}; only plain values are read']) from error
    except yaml.MarkedYAMLError as error:
        raise OptionError([f'{_place(name, error)}: {error.problem}']) from error
    except Exception as error:  # PyYAML stumbles in many ways, e.g. over a list as a key or `!!bool maybe`
        raise OptionError([f'{name} is no YAML: {printable(error) or type(error).__name__}']) from error
    if loader.problems:
        raise OptionError(loader.problems)
    return value


def _count(node: Any, known: dict[int, int]) -> int:
    """How many values a YAML node stands for, those of an anchor once for each place that uses it."""
    if isinstance(node, tuple):  # key and value
        return sum(_count(part, known) for part in node)
    if not isinstance(node, yaml.CollectionNode):
        return 1
    if id(node) not in known:
        known[id(node)] = 0  # of one that holds itself, which is refused later
        known[id(node)] = 1 + sum(_count(part, known) for part in node.value)
    return known[id(node)]


def _place(name: str, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f'{name}, line {mark.line + 1}' if mark else name


def _unshared(value: Any) -> Any:
    """A copy in which no two places hold the same object (deepcopy alone would keep them shared)."""
    if isinstance(value, dict):
        return OrderedDict((key, _unshared(item)) for key, item in value.items())
    if isinstance(value, list):
        return [_unshared(item) for item in value]
    return deepcopy(value)


def to_yaml(options: Any) -> str:
    """Options as text that :func:`parse_yaml` reads to the same values."""
    return yaml.dump(options, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True)


class _Dumper(yaml.SafeDumper):
    """Writes plain data, ordered mappings like any other, and no anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_Dumper.add_implicit_resolver('tag:yaml.org,2002:float', _FLOAT, list('-+.0123456789'))  # such words need quotes
_Dumper.add_representer(OrderedDict, lambda dumper, mapping: dumper.represent_dict(mapping.items()))

"""Which options code reads, found in its source.

There is no list of BasicSR's options. What is known is the code that will run, and it names the keys that it
reads: ``self.opt['train']['total_iter']``, ``train_opt.get('ema_decay', 0)``, ``'mean' in opt``. That holds for model
classes and datasets of other plugins, too.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import ModuleType
from typing import Optional

SECTIONS = ('train', 'val', 'path', 'logger')
ANYWHERE = None  # may be read from any section
UNKNOWN = '?'  # read from something of which the source does not tell the section
_READERS = ('get', 'pop', 'setdefault')


@dataclass(frozen=True)
class Reads:
    """Keys that code reads.

    Attributes:
        keys: section to keys: '' (the top level), 'train', 'logger.wandb', 'datasets' (the options of one dataset)
            and so on, or ANYWHERE.
        patterns: regular expressions of keys that are put together, e.g. f'network_{name}'.
    """

    keys: Mapping[Optional[str], frozenset[str]] = field(default_factory=dict)
    patterns: frozenset[str] = frozenset()

    def of(self, section: str) -> frozenset[str]:
        """Keys that may be read from a section."""
        return self.keys.get(section, frozenset()) | self.keys.get(ANYWHERE, frozenset())

    def knows(self, section: str, key: str) -> bool:
        """Whether the key may be read from the section."""
        return key in self.of(section) or any(re.fullmatch(pattern, key) for pattern in self.patterns)

    def elsewhere(self, section: str, key: str) -> Optional[str]:
        """The section that the key is read from instead, if there is exactly one."""
        places = [place for place in ('', 'datasets', *SECTIONS) if key in self.keys.get(place, ())]
        return places[0] if len(places) == 1 and places[0] != section else None

    def __or__(self, other: 'Reads') -> 'Reads':
        sections = {*self.keys, *other.keys}
        none: frozenset[str] = frozenset()
        merged = {section: self.keys.get(section, none) | other.keys.get(section, none) for section in sections}
        return Reads(merged, self.patterns | other.patterns)


@cache
def reads_of(module: ModuleType, *, root: str, default: str = UNKNOWN, trusted: bool = True) -> Reads:
    """What a module reads.

    Args:
        module: its source is read, nothing of it is run.
        root: the section that ``opt`` and ``self.opt`` are: '' or 'datasets'.
        default: the section of what is read from something of which the source does not tell what it is.
        trusted: the module is BasicSR's or this package's, and reads options as they do. Of others every identifier
            that stands as a string or is a parameter counts as read, so that no key of theirs is refused in error.

    Raises:
        OSError, TypeError, SyntaxError: its source cannot be had.
    """
    tree = ast.parse(inspect.getsource(module))
    scanner = _Scanner(root=root, default=default)
    scanner.scan(tree)
    if not trusted:
        scanner.take_everything(tree)
    return Reads({section: frozenset(keys) for section, keys in scanner.found.items()}, frozenset(scanner.patterns))


class _Scanner:
    def __init__(self, *, root: str, default: str) -> None:
        self._root, self._default = root, default
        self._attributes: dict[str, str] = {}  # self.train_opt = self.opt['train']
        self._names: dict[str, str] = {}
        self.found: dict[Optional[str], set[str]] = {}
        self.patterns: set[str] = set()

    def scan(self, tree: ast.Module) -> None:
        outside, functions = _outermost(tree)
        for function in functions:  # before anything is read: attributes may be set below where they are used
            self._bind([*ast.walk(function)])
        for scope in (outside, *([*ast.walk(function)] for function in functions)):
            self._bind(scope)
            for node in scope:
                self._read(node)
        for node in ast.walk(tree):  # settings that are taken from options field by field
            if isinstance(node, ast.ClassDef) and any(_calls_fields(part) for part in ast.walk(node)):
                for part in node.body:
                    if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                        self._add(ANYWHERE, part.target.id)

    def take_everything(self, tree: ast.Module) -> None:
        documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
                self._add(ANYWHERE, node.value)
            elif isinstance(node, ast.arg):
                self._add(ANYWHERE, node.arg)
            elif isinstance(node, ast.JoinedStr) and any(len(text) > 2 for p in node.values for text in _texts(p)):
                self.patterns.add(
                    ''.join(re.escape(p.value) if isinstance(p, ast.Constant) else r'\w+' for p in node.values)
                )
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                start, end = node.func.attr == 'startswith', node.func.attr == 'endswith'
                for text in _texts(node.args[0]) if start or end else ():
                    self.patterns.add(re.escape(text) + '.*' if start else '.*' + re.escape(text))

    def _bind(self, scope: Sequence[ast.AST]) -> None:
        """Learn which section the variables of a function hold."""
        self._names = {'dataset_opt': 'datasets', 'opt': self._root}  # BasicSR's names for them, where it hands them on
        assignments = [node for node in scope if isinstance(node, ast.Assign)]
        for node in sorted(assignments, key=lambda node: node.lineno):
            for target in node.targets:
                pairs = [(target, node.value)]
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs = list(zip(target.elts, node.value.elts))
                for name, value in pairs:
                    if isinstance(name, ast.Name):
                        self._learn(self._names, name.id, self._section(value))
                    elif isinstance(name, ast.Attribute):
                        self._learn(self._attributes, name.attr, self._section(value))

    @staticmethod
    def _learn(known: dict[str, str], name: str, section: str) -> None:
        if name == 'opt':  # wherever it comes from, it is what they call the options
            known[name] = known.get(name, UNKNOWN) if section == UNKNOWN else section
        else:
            known[name] = section if known.get(name, section) == section else UNKNOWN

    def _section(self, node: ast.AST) -> str:
        """The section that an expression is, or UNKNOWN."""
        if isinstance(node, ast.Name):
            return self._names.get(node.id, UNKNOWN)
        if isinstance(node, ast.BoolOp):  # opt.get('val') or {}
            return self._section(node.values[0])
        if isinstance(node, ast.Attribute):
            if node.attr == 'opt' and isinstance(node.value, ast.Name) and node.value.id == 'self':
                return self._root
            return self._attributes.get(node.attr, UNKNOWN)
        base, key = _reading(node)
        if base is not None and isinstance(key, ast.Constant):
            return self._below(self._section(base), key.value)
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and node.func.attr == 'copy':
                return self._section(node.func.value)
            if isinstance(node.func, ast.Name) and node.func.id in ('deepcopy', 'dict') and len(node.args) == 1:
                return self._section(node.args[0])
        return UNKNOWN

    @staticmethod
    def _below(base: str, key: object) -> str:
        if base in (UNKNOWN, '') and isinstance(key, str):
            if key == 'datasets':
                return 'phases'
            known = base == '' or key in SECTIONS or key.startswith('network_')
            return key if known else UNKNOWN
        return 'datasets' if base == 'phases' else f'{base}.{key}'

    def _read(self, node: ast.AST) -> None:
        base, key = _reading(node)
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            base, key = node.comparators[0], node.left
        if isinstance(node, (ast.For, ast.comprehension)):  # for key in ('a', 'b'): opt[key]
            for text in _texts(node.iter):
                self._add(ANYWHERE, text)
        if base is None or (isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load)):
            return
        for text in _texts(key):
            section = self._section(base)
            self._add(self._default if section == UNKNOWN else section, text)

    def _add(self, section: Optional[str], text: str) -> None:
        if text.isidentifier():
            self.found.setdefault(section, set()).add(text)


def _outermost(tree: ast.Module) -> tuple[list[ast.AST], list[ast.AST]]:
    """The nodes outside of functions, and the functions that stand in no other function."""
    outside: list[ast.AST] = []
    functions: list[ast.AST] = []
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            functions.append(node)
        else:
            outside.append(node)
            waiting += ast.iter_child_nodes(node)
    return outside, functions


def _calls_fields(node: ast.AST) -> bool:
    """Whether it is a call of dataclasses.fields."""
    return isinstance(node, ast.Call) and getattr(node.func, 'id', None) == 'fields'


def _reading(node: ast.AST) -> tuple[Optional[ast.AST], Optional[ast.AST]]:
    """(what is read from, the key) of ``base[key]`` and ``base.get(key)``, else nothing."""
    if isinstance(node, ast.Subscript):
        return node.value, node.slice
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _READERS and node.args:
        return node.func.value, node.args[0]
    return None, None


def _texts(node: Optional[ast.AST]) -> Iterator[str]:
    """Strings of a constant, or of a display of constants."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for element in node.elts:
            yield from _texts(element)

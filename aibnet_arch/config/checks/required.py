"""Which options a dataset cannot do without, found in its source."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from typing import Optional

ALWAYS, TRAINING, ELSE, PERHAPS = 'always', 'training', 'else', 'perhaps'
_OPPOSITE = {TRAINING: ELSE, ELSE: TRAINING}
_METHODS = ('__init__', '__getitem__')


@cache
def required_keys(cls: type, *, training: bool) -> tuple[str, ...]:
    """Keys that a dataset class reads with ``self.opt['key']``, whatever the other options are.

    What stands behind a condition is not required, except behind one of the phase; nor is a key that the class
    also looks for (``'mean' in opt``) or reads with a default.

    Args:
        cls: the dataset class.
        training: in phase 'train', or in the others.

    Returns:
        The keys in the order of the source; none if it cannot be had.
    """
    finder = _Finder()
    for method in _METHODS:
        for function in called(cls, method):
            try:
                tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
            except (OSError, TypeError, SyntaxError):
                return ()
            for statement in tree.body[0].body:
                finder.find(statement, ALWAYS)
    wanted = (ALWAYS, TRAINING if training else ELSE)
    keys = dict.fromkeys(key for key, when in finder.read if when in wanted)
    return tuple(key for key in keys if key not in finder.optional)


def called(cls: type, method: str) -> Iterator[Callable]:
    """A method of a class, and those of its bases that it calls."""
    for base in cls.__mro__:
        function = base.__dict__.get(method)
        if inspect.isfunction(function):
            yield function
            if f'.{method}(' not in inspect.getsource(function).partition('\n')[2]:
                return


class _Finder:
    """Walks through statements and keeps in mind under which condition they run."""

    def __init__(self) -> None:
        self.read: list[tuple[str, str]] = []  # key, when
        self.optional = {'phase'}  # set by the command

    def find(self, node: ast.AST, when: str) -> None:
        key = _key_of_options(node)
        if isinstance(key, str):
            self.read.append((key, when))
        if isinstance(node, (ast.If, ast.IfExp)):
            self.find(node.test, when)
            phase = _phase_test(node.test)
            for part in _listed(node.body):
                self.find(part, _both(when, phase or PERHAPS))
            for part in _listed(node.orelse):
                self.find(part, _both(when, _OPPOSITE.get(phase, PERHAPS)))
            return
        if isinstance(node, ast.BoolOp):
            for number, value in enumerate(node.values):
                self.find(value, when)
                if number == 0:  # the others are looked at only if this one says so
                    when = _both(when, (isinstance(node.op, ast.And) and _phase_test(value)) or PERHAPS)
                else:
                    when = PERHAPS
            return
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.In, ast.NotIn)):
            self._note_optional(node.left)
        if isinstance(node, ast.Call) and getattr(node.func, 'attr', None) in ('get', 'pop') and node.args:
            self._note_optional(node.args[0])
        if isinstance(node, (ast.For, ast.While, ast.Try, ast.FunctionDef, ast.Lambda)):
            when = PERHAPS
        for child in ast.iter_child_nodes(node):
            self.find(child, when)

    def _note_optional(self, node: ast.AST) -> None:
        if isinstance(node, ast.Constant):
            self.optional.add(node.value)


def _listed(part: object) -> list:
    return part if isinstance(part, list) else [part]


def _both(first: str, second: str) -> str:
    if ALWAYS in (first, second):
        return second if first == ALWAYS else first
    return first if first == second else PERHAPS


def _key_of_options(node: ast.AST) -> Optional[object]:
    """key of ``opt['key']`` and ``self.opt['key']``."""
    if not isinstance(node, ast.Subscript) or not isinstance(node.ctx, ast.Load):
        return None
    name = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, 'id', None)
    return node.slice.value if name == 'opt' and isinstance(node.slice, ast.Constant) else None


def _phase_test(test: ast.AST) -> Optional[str]:
    """TRAINING for ``self.opt['phase'] == 'train'``, ELSE for its contrary, None for anything else."""
    if not isinstance(test, ast.Compare) or _key_of_options(test.left) != 'phase':
        return None
    if not isinstance(test.comparators[0], ast.Constant) or test.comparators[0].value != 'train':
        return None
    return {ast.Eq: TRAINING, ast.NotEq: ELSE}.get(type(test.ops[0]))

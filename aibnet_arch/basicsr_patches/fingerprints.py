"""Whether this BasicSR is one of those that were tested: a fingerprint of each function that is relied on."""

import ast
import hashlib
import os
import sys
from pathlib import Path
from typing import Any, Optional

from ..errors import UserError
from .relied_on import RELIED_ON, TESTED, VERSION


def compare(folder: Path, version: str) -> None:
    """Say once on standard error if a BasicSR is none of those tested, what differs, and what hangs on it.

    Of several processes the first one says it.

    Raises:
        UserError: something that is relied on is not there at all.
    """
    here = refuse_missing(folder)
    other = {name for names in RELIED_ON.values() for name, known in names.items() if here[name] not in known.split()}
    differing = ((promise, [name for name in names if name in other]) for promise, names in RELIED_ON.items())
    changed = [f'  {promise}: {", ".join(names)}' for promise, names in differing if names]
    if folder in _told or os.environ.get('RANK', '0') != '0' or (version == VERSION and not changed):
        return
    _told.append(folder)
    differs = '\n'.join(('Other than there are these functions, and what hangs on them:', *changed))
    same = f'All {len(here)} functions that are relied on are as there.'
    print(
        f'The BasicSR {version} in {folder} is none of those tested ({TESTED}). {differs if changed else same}',
        file=sys.stderr,
    )


_told: list[Path] = []


def refuse_missing(folder: Path) -> dict[str, Optional[str]]:
    """The fingerprints of a BasicSR that has all that is relied on.

    Raises:
        UserError: something is not there.
    """
    here = fingerprints(folder)
    missing = [name for name, fingerprint in here.items() if fingerprint is None]
    if missing:
        raise UserError(f'the BasicSR in {folder} has no {", ".join(missing)}. Install a tested one: {TESTED}')
    return here


def fingerprints(folder: Path) -> dict[str, Optional[str]]:
    """Those of the functions in `RELIED_ON`, None for one that is missing."""
    wanted = [name for names in RELIED_ON.values() for name in names]
    trees = {module: _parse(folder, module) for module in {name.partition(':')[0] for name in wanted}}
    return {name: _fingerprint(trees[name.partition(':')[0]], name.partition(':')[2]) for name in wanted}


def _parse(folder: Path, module: str) -> Optional[ast.Module]:
    place = folder.joinpath(*module.split('.')[1:])
    for path in (place.with_suffix('.py'), place / '__init__.py'):
        if path.is_file():
            return ast.parse(path.read_bytes())
    return None


def _fingerprint(tree: Optional[ast.AST], path: str) -> Optional[str]:
    for name in path.split('.'):
        inside = [node for node in getattr(tree, 'body', ()) if getattr(node, 'name', None) == name]
        tree = inside[-1] if inside else None
    return None if tree is None else hashlib.sha256(repr(_plain(tree)).encode()).hexdigest()[:8]


def _plain(node: Any) -> Any:
    """A syntax tree as tuples: without docstrings, places and what is empty, so that it is the same in all Pythons."""
    if isinstance(node, list):
        return [_plain(each) for each in node]
    if not isinstance(node, ast.AST):
        return node
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node, clean=False) is not None:
        node.body = node.body[1:]
    fields = ((name, _plain(value)) for name, value in ast.iter_fields(node) if value not in (None, []))
    return type(node).__name__, *((name, value) for name, value in fields if name != 'kind')

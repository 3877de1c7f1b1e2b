"""The floors of the README's section "How it is built": no import against them, no circle of files."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PACKAGES = ('aibnet_arch', 'datasets_prep', 'tools')
FILES = sorted(path for package in PACKAGES for path in (REPOSITORY / package).rglob('*.py'))


def module_name(path: Path) -> str:
    parts = path.relative_to(REPOSITORY).with_suffix('').parts
    return '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


MODULES = {module_name(path): path for path in FILES}


def imports_of(path: Path) -> Iterator[str]:
    """Modules of this repository that a file imports, wherever in the file."""
    name = module_name(path)
    package = name if path.name == '__init__.py' else name.rpartition('.')[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            base = package.split('.')[: len(package.split('.')) - node.level + 1] if node.level else []
            source = '.'.join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f'{source}.{alias.name}'
                if full in MODULES or source in MODULES:
                    yield full if full in MODULES else source


def room(module: str) -> str:
    """`training` of `aibnet_arch.training.run`; other packages are one room each."""
    parts = module.split('.')
    return parts[1] if parts[0] == 'aibnet_arch' and len(parts) > 1 else parts[0]


def floors() -> list[list[str]]:
    """The rooms of each floor, the ground floor first, as the README draws them."""
    section = (REPOSITORY / 'README.md').read_text().partition('## How it is built')[2].partition('\n## ')[0]
    block = re.search(r'```text\n(.*?)```', section, re.DOTALL)
    assert block, 'the README draws no floors'
    drawn = [line.partition('#')[0].split() for line in block[1].splitlines()]
    return [line for line in reversed(drawn) if line]


def test_the_readme_draws_every_room_once():
    drawn = [name for floor in floors() for name in floor]
    inside = {room(name) for name in MODULES if name.startswith('aibnet_arch.')} - {'__main__'}
    assert sorted(drawn) == sorted(inside)


@pytest.mark.parametrize('path', FILES, ids=module_name)
def test_imports_go_down(path):
    height = {name: number for number, floor in enumerate(floors()) for name in floor}
    ground = [*floors()[0], *floors()[1]]
    here = room(module_name(path))
    for module in imports_of(path):
        there = room(module)
        if there == here or there == 'aibnet_arch':  # the package's face: its version
            continue
        if here == 'datasets_prep':
            assert there in ground, f'{module}: datasets_prep stands on the two lowest floors alone'
        elif here in height:
            down = there == 'datasets_prep' or (there in height and height[there] < height[here])
            assert down, f'{module}: {there} is not below {here}'


def test_no_circle_of_files():
    # A package's own face is imported with each of its modules; what counts is what a file asks for.
    graph = {name: set(imports_of(path)) - {name} for name, path in MODULES.items()}
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(f'a circle: {" -> ".join(error.args[1])}')


def test_only_its_own_commands_start_from_tools():
    users = [
        path for path in FILES if path.parts[-2] != 'tools' and any(m.startswith('tools') for m in imports_of(path))
    ]
    assert not users


def test_the_picture_of_the_network_names_files_that_are_there():
    picture = (REPOSITORY / 'docs' / 'network.svg').read_text()
    named = set(re.findall(r'>([\w/]+(?:\.py|/))<', picture))
    assert len(named) > 10
    rooms = (REPOSITORY / 'aibnet_arch', REPOSITORY / 'aibnet_arch' / 'modeling')
    assert not [name for name in named if not any((room / name).exists() for room in rooms)]


@pytest.mark.parametrize(
    'name',
    [
        'modeling/sfdh_block.py',  # Eq. (1)
        'modeling/sfem.py',  # Eq. (2) and (3)
        'modeling/channel_logits.py',
        'modeling/decoupler.py',  # Eq. (4)
        'modeling/hfs_block.py',  # Eq. (5) and (6)
        'losses/aibnet_loss.py',  # Eq. (7)
        'modeling/staged_module.py',
        'training/stage_switch.py',
        'training/iteration.py',
        'checkpoints/writing.py',
        'config/checks/misspelled_keys.py',
    ],
)
def test_what_a_reader_of_the_paper_looks_for_is_short(name):
    assert len((REPOSITORY / 'aibnet_arch' / name).read_text().splitlines()) <= 150

"""Change the code in small ways, one at a time, and see whether the tests notice.

    python -m tools.mutations --room losses
    python -m tools.mutations --room checkpoints --sample 30 --seed 1
    python -m tools.mutations --room losses --at aibnet_arch/losses/psnr_loss.py:34

A mutant swaps an operator or comparison, moves a number, turns a condition around, or drops a statement. It lives in
memory alone: each one is a forked process in which its file is imported changed and the quick tests of its room run
until one fails. Mutants that no test kills are listed; the files stay as they are.
"""

import argparse
import ast
import copy
import math
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Optional

REPOSITORY = Path(__file__).parent.parent
FOREIGN = (  # imported once for all mutants
    'pytest', 'torch', 'cv2', 'numpy', 'torchvision', 'einops', 'pydantic', 'lmdb', 'yaml', 'scipy', 'skimage.metrics',
    'torch.utils.tensorboard',
)  # fmt: skip
SECONDS = 300  # of the tests of one mutant; endless loops are killed mutants
# Room: its files, and tests that concern them and are quick.
ROOMS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    'losses': (
        ['aibnet_arch/losses/*.py'],
        [
            'tests/test_losses.py',
            'tests/test_equations.py',
            'tests/test_beside.py',
            '-k',
            'loss or charbonnier or edge_term or frequency_term',
        ],
    ),
    'metrics': (
        ['aibnet_arch/metrics/*.py'],
        [
            'tests/test_metric_edges.py',
            'tests/test_comparison.py',
            'tests/test_metric_reports.py',
            'tests/test_metrics.py',
        ],
    ),
    'checkpoints': (
        ['aibnet_arch/checkpoints/*.py'],
        ['tests/test_records.py', 'tests/test_checkpoint_files.py'],
    ),
    'order': (['aibnet_arch/data/order.py'], ['tests/test_data_order.py', '-k', 'not spawned']),
    'network': (
        ['aibnet_arch/modeling/*.py'],
        [
            'tests/test_equations.py',
            'tests/test_switches.py',
            'tests/test_process_batch_norm.py',
            'tests/test_network.py',
            'tests/test_signature.py',
            '-k',
            'not a_variant_differs and not table_6 and not papers_size and not s_b_and_l and not the_file_alone',
        ],
    ),
    'training': (
        ['aibnet_arch/training/stage_plan.py', 'aibnet_arch/training/step_guard.py', 'aibnet_arch/training/history.py'],
        [
            'tests/test_stage_plan.py',
            'tests/test_step_guard.py',
            'tests/test_history.py',
            '-k',
            'not resumed and not the_last_it',
        ],
    ),
    'preparation': (
        ['datasets_prep/crops.py', 'datasets_prep/lmdb_writer.py', 'datasets_prep/paired_set.py'],
        [
            'tests/test_prep_crops.py',
            'tests/test_prep_bad_input.py',
            'tests/test_prep_interrupted.py',
            'tests/test_prep_basicsr.py',
            '-k',
            'not random and not benchmark',
        ],
    ),
    'interruptions': (
        ['aibnet_arch/signals.py', 'aibnet_arch/streams.py', 'aibnet_arch/evaluation/picture_names.py'],
        ['tests/test_interruptions.py'],
    ),
}
_OPERATORS: dict[type, type] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
    ast.Pow: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip


@dataclass
class Mutant:
    """One change of one file: which node of its code, in which way."""

    path: Path
    node: int
    change: int
    line: int
    told: str

    def tree(self) -> ast.Module:
        """The file's code with that change."""
        tree = ast.parse(self.path.read_text())
        _change(list(_code(tree))[self.node], self.change)
        return ast.fix_missing_locations(tree)


def mutants(path: Path) -> Iterator[Mutant]:
    """All of a file. Docstrings, messages and annotations are left alone."""
    for number, node in enumerate(_code(ast.parse(path.read_text()))):
        for change in range(3):
            told = _change(copy.deepcopy(node), change)
            if told:
                yield Mutant(path, number, change, getattr(node, 'lineno', 0), told)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that compute something."""
    for field, value in ast.iter_fields(node):
        if field in ('annotation', 'returns', 'decorator_list', 'exc'):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, (ast.JoinedStr, ast.Import, ast.ImportFrom)) or not isinstance(child, ast.AST):
                continue
            yield child
            yield from _code(child)


def _change(node: Any, number: int) -> str:
    """Change a node in its way of that number; what was changed, '' if there is no such way."""
    before = ast.unparse(node) if isinstance(node, (ast.expr, ast.stmt)) else ''
    if number == 0 and isinstance(node, (ast.BinOp, ast.AugAssign, ast.BoolOp)) and type(node.op) in _OPERATORS:
        node.op = _OPERATORS[type(node.op)]()
    elif number == 0 and isinstance(node, ast.Compare) and type(node.ops[0]) in _OPERATORS:
        node.ops[0] = _OPERATORS[type(node.ops[0])]()
    elif number == 0 and isinstance(node, ast.Constant) and type(node.value) in (int, float):
        node.value += 1  # type: ignore[operator]
    elif number == 0 and isinstance(node, ast.Constant) and isinstance(node.value, bool):
        node.value = not node.value
    elif number == 1 and isinstance(node, (ast.If, ast.IfExp, ast.While)):
        before = f'condition {ast.unparse(node.test)}'
        node.test = ast.UnaryOp(ast.Not(), node.test)
    elif number == 0 and isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        node.op = ast.UAdd() if isinstance(node.op, ast.USub) else node.op
        if isinstance(node.op, ast.Not):
            node.operand = ast.UnaryOp(ast.Not(), node.operand)
    elif number == 0 and isinstance(node, ast.Return) and node.value is not None and not _is_constant(node.value):
        node.value = ast.Constant(None)
    elif number == 2 and isinstance(node, (ast.FunctionDef, ast.With, ast.For, ast.If)):
        droppable = [
            n for n, each in enumerate(node.body) if isinstance(each, (ast.AugAssign, ast.Raise)) or _is_call(each)
        ]
        if not droppable:
            return ''
        before = f'statement {ast.unparse(node.body[droppable[0]])}'
        node.body[droppable[0]] = ast.Pass()
        return f'{before.splitlines()[0][:100]} -> dropped'
    else:
        return ''
    after = 'turned around' if before.startswith('condition ') else ast.unparse(node)
    return f'{before.splitlines()[0][:100]} -> {after.splitlines()[0][:100]}'


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_call(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)


def _import_basicsr() -> None:
    """Import it once, too, and forget the modules of this package that it takes to do so."""
    import_module('aibnet_arch.basicsr_patches.functional_tensor').provide_functional_tensor()
    import_module('basicsr')
    for name in [name for name in sys.modules if name.partition('.')[0] == 'aibnet_arch']:
        del sys.modules[name]


def survives(mutant: Optional[Mutant], tests: Sequence[str]) -> bool:
    """Whether all tests pass in a process that imports the changed file; without a mutant, the code as it is."""
    process = os.fork()
    if not process:
        code = 1
        try:
            code = _run_tests(mutant, tests)
        finally:
            os._exit(code)
    deadline = time.monotonic() + SECONDS
    while True:
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status) == 0
        if time.monotonic() > deadline:
            os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
            return False
        time.sleep(0.02)


def _run_tests(mutant: Optional[Mutant], tests: Sequence[str]) -> int:
    import pytest

    os.setpgid(0, 0)
    output = os.open(os.devnull, os.O_WRONLY)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if mutant is not None:
        code = compile(mutant.tree(), str(mutant.path), 'exec', dont_inherit=True)
        original = SourceFileLoader.get_code

        def get_code(self: SourceFileLoader, fullname: str) -> Optional[CodeType]:
            return code if Path(self.path) == mutant.path else original(self, fullname)

        SourceFileLoader.get_code = get_code  # type: ignore[method-assign, assignment]
    return int(pytest.main(['-x', '-q', '-p', 'no:cacheprovider', *tests]))


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--room', required=True, choices=list(ROOMS))
    parser.add_argument('--sample', type=int, metavar='N', help='so many mutants, drawn by the seed (default: all)')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--minutes', type=float, metavar='M', help='begin no mutant after these (default: no limit)')
    parser.add_argument(
        '--at',
        metavar='FILE:LINE',
        nargs='+',
        help='only the mutants of these lines, as a run lists those that survive',
    )
    parser.add_argument('--list', action='store_true', help='only list the mutants')
    arguments = parser.parse_args(argv)
    patterns, tests = ROOMS[arguments.room]
    found = [each for pattern in patterns for path in sorted(REPOSITORY.glob(pattern)) for each in mutants(path)]
    if arguments.at:
        found = [each for each in found if f'{each.path.relative_to(REPOSITORY)}:{each.line}' in arguments.at]
    drawn = found
    if arguments.sample is not None or arguments.minutes is not None:  # a smaller sample is the larger one's beginning
        drawn = random.Random(arguments.seed).sample(found, len(found))[: arguments.sample]
    if arguments.list:
        for each in drawn:
            print(f'{each.path.relative_to(REPOSITORY)}:{each.line}: {each.told}')
        return 0
    for name in FOREIGN:
        import_module(name)
    _import_basicsr()
    os.chdir(REPOSITORY)
    if not survives(None, tests):
        print(f'the tests of {arguments.room} fail without any change', file=sys.stderr)
        return 2
    alive = ran = 0
    end = math.inf if arguments.minutes is None else time.monotonic() + 60 * arguments.minutes
    for each in drawn:
        if time.monotonic() > end:
            break
        ran += 1
        if survives(each, tests):
            alive += 1
            print(f'survives: {each.path.relative_to(REPOSITORY)}:{each.line}: {each.told}', flush=True)
        elif ran % 10 == 0:
            print(f'{ran} of {len(drawn)}, {alive} alive', flush=True)
    print(
        f'{arguments.room}: {ran - alive} of {ran} mutants killed ({100 * (ran - alive) / max(ran, 1):.0f} %; '
        f'{len(found)} in all, seed {arguments.seed})'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())

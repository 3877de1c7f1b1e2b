"""Hostile input, drawn from a seed: option files, weights, training states, pictures and their names.

    python -m tools.hostile_campaign --seed 0 --count 500

Each case calls a command in this process. It may succeed or refuse (exit codes 0, 1, 2), and it must not raise, print
what a terminal would obey, print a line that the input has forged, or take longer than a limit. Failures are printed
with the number of their case: `--only N` runs that one again.
"""

import argparse
import contextlib
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from aibnet_arch.commands.main import main as basicsr
from tools.hostile_case import FORGED, Case, Sandbox
from tools.hostile_options import option_case
from tools.hostile_pictures import picture_case
from tools.hostile_states import state_case
from tools.hostile_weights import weight_case
from tools.tiny_training import reset_logger

SECONDS = 90  # of a case; the machine may be busy
KINDS: dict[str, tuple[int, Callable[[Sandbox, random.Random], Case]]] = {
    'options': (9, option_case),
    'weights': (6, weight_case),
    'states': (2, state_case),
    'pictures': (3, picture_case),
}


@dataclass
class Outcome:
    """What a case came to; `fault` is empty if all is well."""

    code: Optional[int]
    fault: str


class TooLongError(BaseException):
    """No Exception: nothing on the way may take it for its own."""


def run_case(case: Case) -> Outcome:
    """Run its command, and look at what it printed."""
    output = io.StringIO()
    code: Optional[int] = None
    reset_logger()
    try:
        with _limited(SECONDS), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = basicsr(case.arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except TooLongError:
        return Outcome(None, f'took longer than {SECONDS} s')
    except BaseException:
        return Outcome(None, traceback.format_exc(limit=-4))
    return Outcome(code, _fault(code, output.getvalue()))


def _fault(code: Optional[int], text: str) -> str:
    if code not in (0, 1, 2):
        return f'exit code {code}'
    bad = sorted({char for char in text if not char.isprintable() and char not in '\n\t\r'})
    if bad:
        return f'prints {bad}'
    forged = [line for line in text.splitlines() if line.startswith(FORGED)]
    if forged:
        return f'a forged line: {forged[0]!r}'
    if 'Traceback (most recent call last)' in text:
        return 'a traceback: ' + text[text.index('Traceback') :][-600:]
    if code == 2 and not text.strip():
        return 'refused without a word'
    return ''


@contextlib.contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def end(number: int, frame: object) -> None:
        raise TooLongError

    former = signal.signal(signal.SIGALRM, end)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--count', type=int, default=500)
    parser.add_argument('--only', type=int, metavar='N', help='this case alone')
    parser.add_argument('--kinds', nargs='+', choices=list(KINDS), default=list(KINDS))
    arguments = parser.parse_args(argv)
    here = Path.cwd()
    codes: Counter = Counter()
    faults = 0
    with tempfile.TemporaryDirectory() as folder:
        sandbox = Sandbox.made(Path(folder, 'sandbox'))
        for number in range(arguments.count):
            rng = random.Random(f'{arguments.seed} {number}')
            kind = rng.choices(arguments.kinds, [KINDS[name][0] for name in arguments.kinds])[0]
            if arguments.only not in (None, number):
                continue
            case = KINDS[kind][1](sandbox, rng)
            outcome = run_case(case)
            sandbox.tidy()
            codes[kind, outcome.code] += 1
            if outcome.fault:
                faults += 1
                print(f'case {number}, {kind}: {case.told!a}\n  {outcome.fault}', file=sys.stderr, flush=True)
            elif arguments.only is not None:
                print(ascii(case.told), outcome.code)
        shutil.rmtree(sandbox.root, ignore_errors=True)
        os.chdir(here)
    table = ', '.join(f'{kind} {code}: {count}' for (kind, code), count in sorted(codes.items(), key=str))
    print(f'seed {arguments.seed}: {sum(codes.values())} cases, {faults} failures (kind, exit code: {table})')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())

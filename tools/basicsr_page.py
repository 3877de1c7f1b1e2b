"""The generated parts of docs/basicsr.md, and the fingerprints of another BasicSR.

python -m tools.basicsr_page              # the tables of the page
python -m tools.basicsr_page FOLDER       # what basicsr_patches/relied_on.py says of the package in FOLDER
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from aibnet_arch.basicsr_patches import table
from aibnet_arch.basicsr_patches.fingerprints import fingerprints
from aibnet_arch.basicsr_patches.relied_on import RELIED_ON, TESTED
from aibnet_arch.messages import markdown_table

SECTIONS = {
    'So that BasicSR can be imported': (table.TO_IMPORT,),
    'While a command runs': table.WHILE_A_COMMAND_RUNS,
    'While `train_pipeline` runs': table.WHILE_TRAINING,
    'While `test_pipeline` runs': table.WHILE_TESTING,
    'Inherited in the place of': table.INHERITED,
}


def tables() -> str:
    """The sections on what is replaced, and on what is relied on."""
    lines = []
    for title, replacements in SECTIONS.items():
        rows = [(f'`{each.target}`', f'`{each.by}`', each.fault, each.serves, each.until) for each in replacements]
        lines += [f'### {title}\n', markdown_table([('of BasicSR', 'by', 'fault', 'promise', 'until'), *rows])]
    promises = [(promise, ', '.join(f'`{name}`' for name in names)) for promise, names in RELIED_ON.items()]
    lines += [f'### Relied on, as it is in {TESTED}\n', markdown_table([('promise', 'functions'), *promises])]
    return '\n'.join(lines)


def main(arguments: Sequence[str]) -> int:
    if arguments:
        for name, fingerprint in fingerprints(Path(arguments[0])).items():
            print(f'{name}: {fingerprint}')
    else:
        print(tables(), end='')
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))

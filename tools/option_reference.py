"""Write docs/options.md and options/schema.json from the schema of options: `make options`."""

import sys
from pathlib import Path

from aibnet_arch.commands.main import prepare

ROOT = Path(__file__).parent.parent
PAGE, SCHEMA = ROOT / 'docs/options.md', ROOT / 'options/schema.json'


def contents() -> dict[Path, str]:
    """The files, and what they should hold."""
    prepare()
    from aibnet_arch.config.json_schema import as_text, json_schema
    from aibnet_arch.config.reference import reference
    from aibnet_arch.registries.on_demand import register_wanted

    register_wanted({'train': {'pixel_opt': {'type': 'PSNRLoss'}}})
    return {PAGE: reference(), SCHEMA: as_text(json_schema())}


def main(folder: Path = ROOT) -> None:
    """Write both, below the repository or another folder."""
    for path, text in contents().items():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(exist_ok=True)
        target.write_text(text, encoding='utf-8')
        print(target)


if __name__ == '__main__':
    main(*map(Path, sys.argv[1:2]))

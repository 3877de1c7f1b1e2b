"""Write docs/options.md and options/schema.json from the schema of options: `make options`."""

from pathlib import Path

from aibnet_arch.commands.main import prepare

ROOT = Path(__file__).parent.parent
PAGE, SCHEMA = ROOT / 'docs/options.md', ROOT / 'options/schema.json'


def contents() -> dict[Path, str]:
    """The files, and what they should hold."""
    prepare()
    from aibnet_arch.config.json_schema import as_text, json_schema
    from aibnet_arch.config.reference import reference

    return {PAGE: reference(), SCHEMA: as_text(json_schema())}


if __name__ == '__main__':
    for path, text in contents().items():
        path.write_text(text, encoding='utf-8')
        print(path.relative_to(ROOT))

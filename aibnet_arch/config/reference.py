"""The page of all options, docs/options.md, written from the schema."""

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from .schema.aibnet import OF_AIBNET_MODEL, FrozenCache, Tiles, WeightsRun
from .schema.datasets import OF_DATASETS, Loading, Storage
from .schema.kinds import OneOf, Told
from .schema.models import OF_MODELS
from .schema.run import DistParams, Wandb
from .schema.signatures import described, taken
from .schema.train import Loss, Optimizer, Scheduler
from .schema.val import Metric, Page

INTRODUCTION = """# Options

All keys of an option file, written from the schema in `aibnet_arch/config/schema/` by `make options`.
`basicsr check -opt FILE` tells what is wrong with a file, all at once; `--force_yml train:amp=bf16` sets a key from the
command line. Option files whose first line is `# yaml-language-server: $schema=schema.json` (the path of
[options/schema.json](../options/schema.json)) are completed and checked by editors that know YAML, e.g. VS Code with
Red Hat's YAML extension.

`~` is null: the key counts as left out. "needed" keys have no default. What a class reads, its subclasses read, too.
"""
WORDS = {'training': 'needed to train', 'testing': 'needed to test', 'top': 'needed at the top level'}
_SECTIONS = {'': 'The top level', 'train': '`train:`', 'val': '`val:`', 'path': '`path:`', 'logger': '`logger:`'}


def reference() -> str:
    """The page."""
    from basicsr.utils import registry

    parts = [INTRODUCTION]
    for section, title in _SECTIONS.items():
        parts.append(f'## {title}\n\n{_table(OF_MODELS["BaseModel"][section])}')
        for cls, sections in (
            ('SRModel', OF_MODELS['SRModel']),
            ('AIBNetModel', OF_AIBNET_MODEL),
            ('WeightsModel', {'': WeightsRun}),  # its val is AIBNetModel's
        ):
            if section in sections:
                parts.append(f'### {title} of {cls}\n\n{_table(sections[section])}')
        parts += [f'### {name}\n\n{_table(model)}' for name, model in _BELOW.get(section, {}).items()]
    parts.append(f'## `datasets.<phase>:`\n\nWhatever the class:\n\n{_table(Loading)}')
    parts.append(f'### `io_backend:`\n\n{_table(Storage)}')
    for name, model in OF_DATASETS.items():
        bases = f'All that {_BASES[name]} reads.\n\n' if name in _BASES else ''
        parts.append(f'### {name}\n\n{bases}{_table(model) if model.model_fields else ""}')
    for title, kind, packages in (
        ('Networks', registry.ARCH_REGISTRY, ('aibnet_arch',)),
        ('Losses', registry.LOSS_REGISTRY, ('aibnet_arch', 'basicsr')),
        ('Metrics', registry.METRIC_REGISTRY, ('aibnet_arch', 'basicsr')),
    ):
        parts.append(f'## {title}\n\nBeside `type:`, what the signature takes.')
        for name, thing in kind:
            if thing.__module__.partition('.')[0] in packages:
                parts.append(f'### {name}\n\n{_call_table(thing)}')
    parts.append('## Other model classes of BasicSR\n\nBeside what SRModel reads.')
    parts += [f'### {_SECTIONS[key]} of {", ".join(of)}\n\n{_table(model)}' for (key, model), of in _others().items()]
    return '\n\n'.join(part.strip() for part in parts) + '\n'


def _others() -> dict[tuple[str, type[BaseModel]], list[str]]:
    """Section and keys to the other model classes that read them."""
    found: dict[tuple[str, type[BaseModel]], list[str]] = {}
    for cls, sections in OF_MODELS.items():
        for part in sections.items() if cls not in ('BaseModel', 'SRModel') else ():
            found.setdefault(part, []).append(cls)
    return found


_BELOW: dict[str, dict[str, type[BaseModel]]] = {
    '': {'`dist_params:`': DistParams},
    'train': {
        '`optim_g:` and other optimizers': Optimizer,
        '`scheduler:`': Scheduler,
        '`*_opt:`, losses': Loss,
        '`frozen_cache:`': FrozenCache,
    },
    'val': {'`metrics.<name>:`': Metric, '`page:`': Page, '`tiles:`': Tiles},
    'logger': {'`wandb:`': Wandb},
}
_BASES = {
    'PairedFlipDataset': 'PairedImageDataset',
    'Vimeo90KRecurrentDataset': 'Vimeo90KDataset',
    'VideoTestDUFDataset': 'VideoTestDataset',
    'VideoRecurrentTestDataset': 'VideoTestDataset',
}


def _rows(header: str, rows: Iterator[str]) -> str:
    lines = [header, '| ' + ' | '.join('---' for _ in header.strip('| ').split(' | ')) + ' |', *rows]
    return '\n'.join(lines)


def _table(model: type[BaseModel]) -> str:
    def row(name: str, field: FieldInfo) -> str:
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        default = 'needed' if field.is_required() else WORDS.get(str(extra.get('needed')), _yaml(field.default))
        return f'| `{name}` | {_kind_of(field)} | {default} | {field.description} | {extra.get("whose", "BasicSR")} |'

    fields = model.model_fields.items()
    return _rows('| key | value | default | what it does | whose |', (row(name, field) for name, field in fields))


def _call_table(called: Callable) -> str:
    meaning = described(called)
    parameters = [each for each in taken(called).parameters.values() if each.name not in ('img', 'img2')]
    rows = (
        f'| `{each.name}` | {"needed" if each.default is each.empty else _yaml(each.default)} | '
        f'{meaning.get(each.name, "")} |'
        for each in parameters
    )
    return _rows('| key | default | what it does |', rows) if parameters else 'It takes no options.'


def _kind_of(field: FieldInfo) -> str:
    """What a key can be, in words."""
    words = [each for each in field.metadata if isinstance(each, (Told, OneOf))]
    return _words(words[-1]) if words else _kind(field.annotation)


def _kind(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        kind, *metadata = get_args(annotation)
        words = [each for each in metadata if isinstance(each, (Told, OneOf))]
        return _words(words[-1]) if words else _kind(kind)
    if get_origin(annotation) is Union:
        parts = [_kind(each) for each in get_args(annotation) if each is not type(None)]
        return ' or '.join([*parts, *(['`~`'] if type(None) in get_args(annotation) else [])])
    if get_origin(annotation) is Literal:
        return ', '.join(f'`{each}`' for each in get_args(annotation))
    return 'keys and values' if annotation is not Any else 'a value'


def _words(told: Any) -> str:
    return told.words if isinstance(told, Told) else ', '.join(f'`{name}`' for name in told.names)


def _yaml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return f'`[{", ".join(_yaml(each).strip("`") for each in value)}]`'
    return '`~`' if value is None else f'`{str(value).lower() if isinstance(value, bool) else value}`'

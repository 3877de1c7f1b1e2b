"""Which BasicSR a folder is a checkout of, and what AIBNet needs there."""

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..messages import printable
from . import contents


@dataclass(frozen=True)
class Kind:
    """A kind of checkout.

    Attributes:
        marks: file to a class or function that it defines.
        code: where the file goes that brings AIBNet in, and its text.
        blocks: what they have of their own.
        stages_in_one: one option file for all stages, since the model class knows them, or one for each.
    """

    told: str
    marks: dict[str, str]
    code: tuple[str, str]
    options: str
    blocks: Mapping[str, str]
    stages_in_one: bool = False

    def files(self, variant: str, *, data: str) -> dict[str, str]:
        """Path below the checkout to text, the code first.

        Args:
            variant: 'S', 'B' or 'L'.
            data: folder of the data set, as seen from the checkout.
        """
        count = contents.SUB_DECODERS[variant]
        files = dict([self.code])
        for stage in [None] if self.stages_in_one else range(1, count + 1):
            name = f'AIBNet-{variant}' + (f'_stage{stage}' if stage else '')
            path = f'{self.options}/{name}.yml'
            files[path] = contents.option_text(
                self.blocks, name=name, path=path, variant=variant, stage=stage, data=data
            )
        return files


KINDS = (
    Kind(
        told='a BasicSR with registries',
        marks={'basicsr/utils/registry.py': 'Registry', 'basicsr/models/sr_model.py': 'SRModel'},
        code=('basicsr/models/aibnet_model.py', contents.MODERN_CODE),
        options='options/train/AIBNet',
        blocks=contents.MODERN,
        stages_in_one=True,
    ),
    Kind(
        told="a BasicSR like NAFNet's (ImageRestorationModel, no registries)",
        marks={
            'basicsr/models/archs/__init__.py': 'define_network',
            'basicsr/models/image_restoration_model.py': 'ImageRestorationModel',
            'basicsr/data/paired_image_dataset.py': 'PairedImageDataset',
        },
        code=('basicsr/models/archs/aibnet_arch.py', contents.OLDER_CODE),
        options='options/train/GoPro',
        blocks=contents.NAFNET,
    ),
    Kind(
        told="a BasicSR like Restormer's (ImageCleanModel, no registries)",
        marks={
            'basicsr/models/archs/__init__.py': 'define_network',
            'basicsr/models/image_restoration_model.py': 'ImageCleanModel',
            'basicsr/data/paired_image_dataset.py': 'Dataset_PairedImage',
        },
        code=('basicsr/models/archs/aibnet_arch.py', contents.OLDER_CODE),
        options='Motion_Deblurring/Options',
        blocks=contents.RESTORMER,
    ),
)


def kind_of(folder: Path) -> Kind:
    """What a folder is a checkout of.

    Raises:
        UserError: of nothing that is known; the message says what was looked for.
    """
    if not folder.is_dir():
        raise UserError(f'{printable(folder)}: there is no such folder')
    for file in ('basicsr/train.py', 'setup.py'):
        if not (folder / file).is_file():
            raise UserError(
                f'{printable(folder)} is no checkout of BasicSR: it has no {file}. Give the folder that `git clone` '
                'made of BasicSR, NAFNet or Restormer.'
            )
    for kind in KINDS:
        if all(name in _defined(folder / file) for file, name in kind.marks.items()):
            return kind
    known = '; '.join(kind.told for kind in KINDS)
    raise UserError(f'{printable(folder)} has a BasicSR, but none that this command knows. It knows: {known}')


def _defined(path: Path) -> set[str]:
    """Names of the classes and functions at the top level of a file; none if there is no such file."""
    try:
        tree = ast.parse(path.read_bytes())
    except FileNotFoundError:
        return set()
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f'{printable(path)} cannot be read: {error}') from error
    return {node.name for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))}


def installed_instead(folder: Path) -> Optional[Path]:
    """Where an installed BasicSR lies that Python prefers: a package wins over a folder without __init__.py."""
    spec = importlib.util.find_spec('basicsr')
    if (folder / 'basicsr/__init__.py').is_file() or spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent

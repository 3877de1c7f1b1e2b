"""A card of a network, made of what its weights say of themselves; what they do not say is left open, and said so."""

from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Optional

import yaml

from ..messages import printable
from ..modeling import AIBNet
from .description_text import SHOWN
from .wanted import at, options_tree

_TEMPLATE = Path(__file__).parent / 'template' / 'card.md'
UNKNOWN = 'The weights do not say how they were trained.'


def card(network: AIBNet, about: Mapping[str, Any], *, license: Optional[str] = None) -> str:
    """Markdown with the Hub's YAML before it.

    Args:
        about: 'iter' and 'options' (YAML text) of the file of weights, as far as it has them.
        license: of the weights, one of the Hub's names; None: the card says that it is open.
    """
    head: dict[str, Any] = {'library_name': 'aibnet', 'pipeline_tag': 'image-to-image'}
    head['tags'] = ['deblurring', 'image-restoration', 'aibnet']
    if license:
        head['license'] = license
    count = sum(parameter.numel() for parameter in network.parameters())
    trained = f'{network.active_sub_decoders} of {len(network.sub_decoders)} sub-decoders are trained'
    iteration = f' at iteration {about["iter"]:,d}' if 'iter' in about else ''
    options = [f'| `{name}` | {value} |' for name, value in _options(about.get('options')).items()]
    training = '\n'.join(['| option | |', '| --- | --- |', *options] if options else [UNKNOWN])
    open_licence = '' if license else 'under which licence they are, '
    arguments = '\n'.join(f'| `{name}` | `{value}` |' for name, value in network.arguments.items())
    return Template(_TEMPLATE.read_text(encoding='utf-8')).substitute(
        head=yaml.safe_dump(head, sort_keys=False).strip(),
        count=f'{count / 1e6:,.3f}',
        trained=trained + iteration,
        arguments=arguments,
        training=training,
        open_licence=open_licence,
    )


def _options(text: Optional[str]) -> dict[str, str]:
    """The options of most interest, fit for a table."""
    tree, found = options_tree(text), {}
    for path in SHOWN:
        value = at(tree, path)
        if isinstance(value, (str, int, float, list)):
            found[path] = printable(value)[:200].replace('|', '\\|')
    return found

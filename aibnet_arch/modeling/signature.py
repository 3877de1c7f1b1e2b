"""What a network says of itself among its weights: its arguments, and how many sub-decoders are trained."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import CheckpointError
from .arguments import LATER

KEY = '_extra_state'  # torch's name for what `get_extra_state` returns
MOST_BYTES = 1 << 16  # a few hundred are usual
# These say how a network is trained or run, or what parameters start at; not which function its weights stand for.
FREE = (
    'num_sub_decoders',
    'freeze_encoder',
    'code_noise',
    'alpha_deviation',
    'logit_scale_init',
    'lambda_init',
)
# Said only if it is not what earlier versions of this package have, which do not know it: they read such weights.
SAID_IF_OTHER = (
    'spatial',
    'alpha_deviation',
    'logit_scale',
    'logit_scale_init',
    'lambda_init',
    'sfem_weight',
    'branch_scale',
)


@dataclass(frozen=True)
class Signature:
    """Saved with the weights as a tensor of bytes (JSON), since a state dict holds nothing but tensors.

    Some arguments (`alpha_init`, `normalize_logits`) leave no trace in the shapes of the weights: without them
    a file could be loaded into a network that computes something else with it.

    Attributes:
        trained: how many sub-decoders hold trained weights; the others never run unnoticed.
        arguments: of AIBNet's constructor.
    """

    trained: int
    arguments: Mapping[str, Any]

    def to_tensor(self) -> Tensor:
        """(N,), uint8."""
        said = {k: v for k, v in self.arguments.items() if k not in SAID_IF_OTHER or v != LATER[k]}
        text = json.dumps({'trained': self.trained, 'arguments': said})
        return torch.tensor(list(text.encode()), dtype=torch.uint8)

    @classmethod
    def of(cls, state: Mapping[str, Any], *, where: object = 'the state dict') -> 'Signature':
        """Read it from a state dict.

        Raises:
            CheckpointError: there is none, or it is none of AIBNet's.
        """
        content: Any = state.get(KEY)
        if not is_dense(content) or content.dtype != torch.uint8:
            raise CheckpointError(
                f'{where} is no checkpoint of AIBNet: it does not say of which network its weights are ({KEY})'
            )
        if content.numel() > MOST_BYTES:
            raise CheckpointError(f'{where}: {KEY} is damaged: {content.numel():,d} bytes')
        try:
            fields = json.loads(bytes(content.flatten().tolist()))
            trained, arguments = fields['trained'], fields['arguments']
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise CheckpointError(f'{where}: {KEY} is damaged ({error!r})') from error
        if type(trained) is not int or trained < 1 or not isinstance(arguments, dict):
            raise CheckpointError(f'{where}: {KEY} is damaged ({fields!r:.200})')
        return cls(trained=trained, arguments={**LATER, **arguments})

    def check_arguments(self, own: Mapping[str, Any]) -> None:
        """Compare with the arguments of the network that is to take the weights.

        Raises:
            CheckpointError: the weights stand for another function.
        """
        theirs = json.loads(json.dumps(dict(own)))
        other = {name: value for name, value in theirs.items() if name not in FREE}
        differing = [
            f'{name} is {self.arguments.get(name)!r} there and {value!r} here'
            for name, value in other.items()
            if self.arguments.get(name) != value
        ]
        if differing:
            raise CheckpointError(f'the weights are of another network: {"; ".join(differing)}')


def is_dense(value: object) -> bool:
    """Whether it is a tensor with a number for each entry.

    A file may also hold sparse ones, shapes alone, and tensors of any shape that repeat the few numbers which are
    there; to use one of those would fill the memory.
    """
    return (
        isinstance(value, Tensor)
        and not value.is_nested
        and value.layout == torch.strided
        and not (value.is_meta or value.is_quantized)
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )

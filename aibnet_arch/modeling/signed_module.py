"""A network that saves its signature with its weights."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from ..errors import CheckpointError
from .signature import KEY, Signature


class SignedModule(nn.Module):
    """Its state dict says which arguments it was built with, and how many of its sub-decoders are trained."""

    arguments: Mapping[str, Any]
    sub_decoders: Any
    active_sub_decoders: int

    def get_extra_state(self) -> Tensor:
        """The network's signature, which is saved with its weights."""
        return Signature(trained=self.active_sub_decoders, arguments=self.arguments).to_tensor()

    def set_extra_state(self, state: Tensor) -> None:
        """Take over how many sub-decoders are trained.

        Raises:
            CheckpointError: the weights are of a network that computes something else.
        """
        signature = Signature.of({KEY: state})
        signature.check_arguments(self.arguments)
        count = len(self.sub_decoders)
        if signature.trained > count:
            raise CheckpointError(f'the weights have {signature.trained} trained sub-decoders, this network {count}')
        self.active_sub_decoders = signature.trained

"""What a network costs, for the summary of a test."""

from typing import Any

from torch import nn

from .measuring import count_macs

SIZE = 256


def costs_of(network: nn.Module) -> dict[str, Any]:
    """Type, parameters and multiply-accumulates for a picture of 256x256.

    Counted on the meta device, in a second or two. A network whose forward looks at values cannot be run there: its
    `conv_macs` and `macs` are None, and `macs_note` says why.
    """
    parameters = sum(parameter.numel() for parameter in network.parameters())
    found: dict[str, Any] = {'type': type(network).__name__, 'parameters': parameters, 'size': [SIZE, SIZE]}
    training = network.training
    try:
        conv_macs, macs = count_macs(network.eval(), (), (1, 3, SIZE, SIZE))['total']
    except Exception as error:  # whatever a network of others does with a tensor without values
        return {**found, 'conv_macs': None, 'macs': None, 'macs_note': f'not counted: {error or type(error).__name__}'}
    finally:
        network.train(training)
    return {**found, 'conv_macs': conv_macs, 'macs': macs}

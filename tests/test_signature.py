"""Weights that say of which network they are."""

import json

import pytest
import torch

from aibnet_arch import AIBNet
from aibnet_arch.modeling.encoders import CheckpointError
from aibnet_arch.modeling.signature import KEY, Signature
from aibnet_arch.weights import read_network

TINY = {
    'encoder': 'nafnet', 'width': 8, 'encoder_blocks': [1, 1, 1, 1], 'blocks_per_level': 1, 'freeze_encoder': False
}  # fmt: skip


@pytest.fixture
def saved(tmp_path):
    """A path, and a function that saves a network there with changes of its signature."""
    path = tmp_path / 'net.pth'

    def save(net, **changes):
        state = net.state_dict()
        if changes:
            signature = Signature.of(state)
            content = {'trained': signature.trained, 'arguments': {**signature.arguments, **changes}}
            state[KEY] = torch.tensor(list(json.dumps(content).encode()), dtype=torch.uint8)
        torch.save({'params': state}, path)
        return path

    return save


def noisy(**changes):
    net = AIBNet(**{**TINY, **changes})
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.normal_(std=0.1)
    return net.eval()


@pytest.mark.parametrize(
    'changes',
    [
        {}, {'encoder': 'ufpnet', 'encoder_blocks': (1, 1, 1, 2)}, {'num_sub_decoders': 2}, {'num_masks': 0},
        {'heads': (1, 2, 1, 2)}, {'alpha_init': 0.5}, {'normalize_logits': False}, {'decoupler_groups': 4},
    ],
)  # fmt: skip
def test_the_file_alone_gives_the_network_back(saved, changes):
    net = noisy(**changes)
    image = torch.rand(1, 3, 20, 30)
    with torch.no_grad():
        assert torch.equal(read_network(saved(net))(image), net(image))


def test_a_checkpoint_of_the_first_stage_runs_one_sub_decoder(saved):
    net = noisy(num_sub_decoders=2)
    net.set_stage(1)
    assert read_network(saved(net)).active_sub_decoders == 1


@pytest.mark.parametrize(('name', 'value'), [('alpha_init', 0.5), ('normalize_logits', False)])
def test_weights_do_not_load_into_a_network_that_computes_something_else(saved, name, value):
    with pytest.raises(CheckpointError, match=f'{name} is {value} there'):
        noisy().load_state_dict(torch.load(saved(noisy(**{name: value})))['params'])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'width': 16}, 'do not fit its own arguments'),
        ({'blocks_per_level': 10**9}, 'blocks_per_level = 1000000000 does not agree'),
        ({'encoder_blocks': [10**9, 1, 1, 1]}, 'encoder_blocks'),
        ({'depth': 3}, 'make no network of this version'),
        ({'encoder': 'vgg'}, "encoder='vgg'"),
    ],
)
def test_a_signature_that_is_not_the_weights_is_refused(saved, changes, message):
    with pytest.raises(CheckpointError, match=message):
        read_network(saved(noisy(), **changes))


def test_files_of_other_networks_and_damaged_signatures_are_refused(tmp_path):
    path = tmp_path / 'other.pth'
    for extra in (None, torch.tensor(3), torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([91, 93]).byte()):
        state = {'conv.weight': torch.zeros(1)} | ({} if extra is None else {KEY: extra})
        torch.save({'params': state}, path)
        with pytest.raises(CheckpointError, match=r'no checkpoint of AIBNet|damaged'):
            read_network(path)

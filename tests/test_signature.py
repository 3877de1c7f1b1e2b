"""Weights that say of which network they are."""

import json

import pytest
import torch

from aibnet_arch import AIBNet
from aibnet_arch.errors import CheckpointError
from aibnet_arch.modeling.signature import KEY, Signature
from aibnet_arch.weights import read_network

TINY = {'encoder': 'nafnet', 'width': 8, 'encoder_blocks': [1, 1, 1, 1], 'blocks_per_level': 1, 'freeze_encoder': False}


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
        {},
        {'encoder': 'ufpnet', 'encoder_blocks': (1, 1, 1, 2)},
        {'num_sub_decoders': 2},
        {'num_masks': 0},
        {'heads': (1, 2, 1, 2)},
        {'alpha_init': 0.5},
        {'normalize_logits': False},
        {'decoupler_groups': 4},
        {'logit_scale': 'beta', 'logit_scale_init': 1.0, 'sfem_weight': 'scalar', 'branch_scale': True},
        {'lambda_init': 0.2, 'alpha_deviation': 0.02},
    ],
)
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
        ({'blocks_per_level': 10**9}, 'more than 4000 blocks'),
        ({'encoder_blocks': [10**9, 1, 1, 1]}, 'encoder_blocks'),
        ({'depth': 3}, 'make no network of this version'),
        ({'encoder': 'vgg'}, "encoder='vgg'"),
    ],
)
def test_a_signature_that_is_not_the_weights_is_refused(saved, changes, message):
    with pytest.raises(CheckpointError, match=message):
        read_network(saved(noisy(), **changes))


HOSTILE = {
    'width': (0, -8, 8.5, '8', True, None, [8], {}, 10**9, 10**30, float('nan')),
    'heads': (0, True, '1111', [1] * 9, [1.0] * 4, [[1]] * 4, None, {'a': 1}),
    'encoder': (None, ['nafnet'], {}, ''),
    'encoder_blocks': (None, '1111', [1, 1, 1, True], [1, 1, 1, -1], {'a': 1}),
    'alpha_init': (float('nan'), float('inf'), '0.8', None, [0.8], True, 10**400),
    'normalize_logits': ('false', 1.5, None, []),
    'logit_scale': ('gamma', None, True, ['beta'], {}),
    'logit_scale_init': (0, -1.0, '1', True, [1], float('nan'), 1e300, 10**400),
    'lambda_init': ('mean', True, [0.2], float('inf'), 10**400),
    'alpha_deviation': (None, 0, -0.1, '0.1', True, float('nan'), 10**400),
    'sfem_weight': ('channels', None, 1, []),
    'branch_scale': ('yes', None, 0, []),
    'freeze_encoder': ('yes', []),
    'num_masks': (-1, True, 10**9, 2.5),
    'num_sub_decoders': (0, True, '2', 10**8),
    'decoupler_groups': (0, '8', True, float('nan')),
}


@pytest.mark.parametrize('name', HOSTILE)
def test_arguments_of_any_other_kind_are_refused(name, saved):
    for value in HOSTILE[name]:
        with pytest.raises(CheckpointError, match=r'arguments make no network|do not fit its own'):
            read_network(saved(noisy(), **{name: value}))


@pytest.mark.parametrize(
    'text', ['[' * 100_000, '{"a":' * 50_000, '{"trained": ' + '9' * 5000 + '}', 'NaN', '[1]', '"x"', '', '\0']
)
def test_signatures_that_are_none_are_damaged(text, tmp_path):
    state = {**noisy().state_dict(), KEY: torch.tensor(list(text.encode()), dtype=torch.uint8)}
    torch.save({'params': state}, tmp_path / 'net.pth')
    with pytest.raises(CheckpointError, match='damaged'):
        read_network(tmp_path / 'net.pth')


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (torch.empty(8, device='meta'), 'no tensors with numbers in them: encoder.intro.bias'),
        (torch.zeros(8).to_sparse(), 'no tensors with numbers in them: encoder.intro.bias'),
        (torch.full((8,), float('nan')), '1 entries hold numbers that are not finite: encoder.intro.bias'),
    ],
    ids=['shape alone', 'sparse', 'not finite'],
)
def test_weights_without_numbers_are_refused_by_name(value, message, tmp_path):
    torch.save({'params': {**noisy().state_dict(), 'encoder.intro.bias': value}}, tmp_path / 'net.pth')
    with pytest.raises(CheckpointError, match=message):
        read_network(tmp_path / 'net.pth')


def test_files_of_other_networks_and_damaged_signatures_are_refused(tmp_path):
    path = tmp_path / 'other.pth'
    for extra in (None, torch.tensor(3), torch.tensor([1, 2], dtype=torch.uint8), torch.tensor([91, 93]).byte()):
        state = {'conv.weight': torch.zeros(1)} | ({} if extra is None else {KEY: extra})
        torch.save({'params': state}, path)
        with pytest.raises(CheckpointError, match=r'no checkpoint of AIBNet|damaged'):
            read_network(path)


@pytest.mark.parametrize(
    'content',
    [
        {'trained': 0, 'arguments': {}},
        {'trained': '1', 'arguments': {}},
        {'trained': True, 'arguments': {}},
        {'trained': 1, 'arguments': []},
        {'trained': 1},
        {'arguments': {}},
    ],
)
def test_each_field_that_is_wrong_by_itself_is_refused(content):
    state = {KEY: torch.tensor(list(json.dumps(content).encode()), dtype=torch.uint8)}
    with pytest.raises(CheckpointError, match=f'{KEY} is damaged'):
        Signature.of(state)


def test_the_smallest_of_fields_is_taken():
    content = json.dumps({'trained': 1, 'arguments': {'width': 8}}).encode()
    signature = Signature.of({KEY: torch.tensor(list(content), dtype=torch.uint8)})
    assert (signature.trained, signature.arguments['width']) == (1, 8)

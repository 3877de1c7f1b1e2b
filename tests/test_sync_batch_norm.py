"""Batch norm over the images of all processes: two with half of the batch are one with the whole."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aibnet_arch import AIBNet
from aibnet_arch.losses.aibnet_loss import AIBNetLoss

REPOSITORY = Path(__file__).parent.parent
BATCH = 4
NETWORK = {
    'encoder': 'nafnet',
    'width': 8,
    'encoder_blocks': [1, 1, 1, 1],
    'blocks_per_level': 1,
    'num_masks': 2,
    'freeze_encoder': False,
}


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    """What each process found, and before it what one process finds alone."""
    folder = tmp_path_factory.mktemp('two')
    torch.manual_seed(0)
    net = AIBNet(**NETWORK).double().train()
    for sub_decoder in net.sub_decoders:  # a fresh one has no gradient but in its last convolution
        torch.nn.init.normal_(sub_decoder.to_residual.weight, std=0.1)
    torch.save(net.state_dict(), folder / 'weights.pt')
    lq = torch.rand(BATCH, 3, 32, 32, dtype=torch.float64) * torch.tensor([0.1, 0.3, 0.6, 1.0])[:, None, None, None]
    gt = torch.rand_like(lq)
    torch.save((lq, gt), folder / 'batch.pt')
    AIBNetLoss()(net(lq), gt).backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    command = [sys.executable, '-m', 'tests.two_processes_child']
    children = [subprocess.Popen([*command, str(rank), str(folder)], cwd=REPOSITORY) for rank in range(2)]
    assert [child.wait(timeout=120) for child in children] == [0, 0]
    alone = {'gradients': gradients, 'buffers': dict(net.named_buffers())}
    return alone, *(torch.load(folder / f'{rank}.pt', weights_only=True) for rank in range(2))


def furthest(one: dict, other: dict) -> float:
    assert one.keys() == other.keys()
    return max(float((value.double() - other[key]).abs().max()) for key, value in one.items())


def test_gradients_and_statistics_are_those_of_one_process(found):
    alone, *processes = found
    for process in processes:
        for what in ('gradients', 'buffers'):
            assert furthest(alone[what], process['together'][what]) < 1e-9


def test_without_it_they_are_not(found):
    """So the test above can fail: each process has statistics of its own, and other gradients."""
    alone, first, second = found
    assert furthest(alone['gradients'], first['apart']['gradients']) > 1e-4
    assert furthest(first['apart']['buffers'], second['apart']['buffers']) > 1e-3


def test_before_validating_all_have_the_buffers_of_the_first(found):
    _, first, second = found
    assert furthest(first['apart']['buffers'], second['apart']['buffers_of_first']) == 0


def test_what_holds_in_one_process_is_known_in_all(found):
    assert [process['any'] for process in found[1:]] == [[True, False, True]] * 2

"""Batch norm over two processes, by itself: forked ones, in a file's process group, on a few numbers."""

import multiprocessing

import pytest
import torch
from torch import distributed, nn

from aibnet_arch.modeling.process_batch_norm import ProcessBatchNorm2d

SHAPE = (4, 3, 2, 1)


def tensors():
    generator = torch.Generator().manual_seed(0)
    spread = torch.tensor([0.1, 1.0, 3.0, 9.0], dtype=torch.float64)[:, None, None, None]  # each image its own
    return (spread * torch.randn(SHAPE, generator=generator, dtype=torch.float64) for _ in range(2))


def outcome(norm, x, weight, share=slice(None)):
    x = x[share].requires_grad_()
    y = norm(x)
    (y * weight[share]).sum().backward()
    found = {'y': y.detach(), 'of_x': x.grad, 'of_weight': norm.weight.grad, 'of_bias': norm.bias.grad}
    return {**found, 'mean': norm.running_mean, 'var': norm.running_var, 'batches': norm.num_batches_tracked}


def fresh(over_processes=True):
    norm = ProcessBatchNorm2d(SHAPE[1]).double()
    norm.over_processes = over_processes
    return norm


def child(rank, root):
    distributed.init_process_group('gloo', init_method=f'file://{root}/group', rank=rank, world_size=2)
    x, weight = tensors()
    share = slice(2 * rank, 2 * rank + 2)
    half = fresh().half()
    half_x = x[share].half()
    found = {
        'together': outcome(fresh(), x, weight, share),
        'each by itself': outcome(fresh(over_processes=False), x, weight, share),
        'not in training': outcome(fresh().eval(), x, weight, share),
        'in half': {'y': half(half_x).detach()},
    }
    distributed.destroy_process_group()
    torch.save(found, root / f'{rank}.pt')


@pytest.fixture(scope='module')
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp('two')
    start = multiprocessing.get_context('fork').Process
    children = [start(target=child, args=(rank, root), daemon=True) for rank in range(2)]
    for each in children:
        each.start()
    for each in children:
        each.join(120)
    assert [each.exitcode for each in children] == [0, 0]
    return [torch.load(root / f'{rank}.pt', weights_only=True) for rank in range(2)]


def of_one_process():
    x, weight = tensors()
    return outcome(nn.BatchNorm2d(SHAPE[1]).double(), x, weight)


def assert_close(one, other):
    torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_two_processes_are_one_with_both_batches(found):
    whole, parts = of_one_process(), [each['together'] for each in found]
    for key in ('y', 'of_x'):
        assert_close(torch.cat([part[key] for part in parts]), whole[key])
    for key in ('of_weight', 'of_bias'):  # summed by who trains in parallel
        assert_close(parts[0][key] + parts[1][key], whole[key])
    for part in parts:
        for key in ('mean', 'var', 'batches'):
            assert_close(part[key], whole[key])


@pytest.mark.parametrize(('how', 'is_training'), [('each by itself', True), ('not in training', False)])
def test_otherwise_each_process_is_by_itself(how, is_training, found):
    for rank, each in enumerate(found):
        x, weight = tensors()
        norm = nn.BatchNorm2d(SHAPE[1]).double().train(is_training)
        assert_close(each[how], outcome(norm, x, weight, slice(2 * rank, 2 * rank + 2)))


def test_half_precision_comes_back_as_it_went(found):
    y = torch.cat([each['in half']['y'] for each in found])
    assert y.dtype == torch.float16
    torch.testing.assert_close(y.double(), of_one_process()['y'], rtol=2e-3, atol=2e-3)


def test_one_process_needs_no_group():
    x, weight = tensors()
    assert_close(outcome(fresh(), x, weight), of_one_process())

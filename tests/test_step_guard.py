"""The guard of the step on a model of one number, without a run."""

import pytest
import torch
from torch import nn

from aibnet_arch.basicsr_patches.functional_tensor import provide_functional_tensor
from aibnet_arch.errors import RunError

provide_functional_tensor()

from aibnet_arch.training.step_guard import NonFiniteError, StepGuard, refuse_unless_finite  # noqa: E402


class Model:
    """Its loss is what it is given times its weight 3 (so that is the norm of the gradient too), plus batch norm."""

    def __init__(self, **train):
        self.opt = {'train': train}
        self.net_g = nn.ModuleDict({'weight': nn.Linear(1, 1, bias=False), 'norm': nn.BatchNorm1d(1)})
        nn.init.constant_(self.net_g['weight'].weight, 3)
        self.cri_pix = nn.Identity()
        self.output, self.log_dict, self.given = None, {}, 1.0
        self.optimizers = [torch.optim.SGD(self.net_g['weight'].parameters(), lr=1)]

    def optimize_parameters(self, iteration):
        self.optimizers[0].zero_grad()
        self.net_g['norm'](torch.tensor([[1.0], [5.0]]))
        self.output = torch.ones(1)
        loss = self.cri_pix(self.net_g['weight'](torch.tensor([self.given])))
        loss.sum().backward()
        self.optimizers[0].step()

    @property
    def weight(self):
        return self.net_g['weight'].weight.item()


def guarded(**train):
    model = Model(**train)
    guard = StepGuard(model)
    guard.watch()
    return model, guard


def test_a_finite_step_is_taken_with_its_norm_noted():
    model, guard = guarded()
    model.given = -2.0
    guard.step(1, batch=['a'])
    assert (model.weight, guard.skipped, guard.skipped_in_row) == (5, 0, 0)
    assert [norm.item() for norm in guard.norms] == [2]
    guard.step(2, batch=['a'])
    assert (model.weight, [norm.item() for norm in guard.norms]) == (7, [2])


@pytest.mark.parametrize(('clip', 'given', 'step'), [(0.5, 2.0, 0.5), (0.5, 0.25, 0.25), (None, 2.0, 2.0)])
def test_a_gradient_is_scaled_down_never_up(clip, given, step):
    model, guard = guarded(grad_clip=clip)
    model.given = given
    guard.step(1, batch=['a'])
    assert 3 - model.weight == pytest.approx(step, abs=1e-5)


def test_a_refused_step_leaves_no_trace_and_is_counted(caplog):
    model, guard = guarded()
    guard.step(1, batch=['a'])
    weight, mean = model.weight, model.net_g['norm'].running_mean.item()
    model.given = float('inf')
    for number in (1, 2):
        guard.step(1 + number, batch=['b', 'c'])
        assert (guard.skipped, guard.skipped_in_row) == (number, number)
        assert (model.weight, model.net_g['norm'].running_mean.item()) == (weight, mean)
        assert model.log_dict == {'cri_pix': float('inf'), 'skipped_steps': number}
    assert model.output is None
    assert model.net_g['weight'].weight.grad is None
    model.given = 1.0
    guard.step(4, batch=['a'])
    assert (guard.skipped, guard.skipped_in_row) == (2, 0)
    assert model.weight == weight - 1
    assert model.net_g['norm'].running_mean.item() > mean


@pytest.mark.parametrize(('train', 'most'), [({}, 10), ({'max_skipped_steps': 2}, 2)])
def test_so_many_in_a_row_end_the_run(train, most):
    model, guard = guarded(**train)
    model.given = float('nan')
    for number in range(1, most):
        guard.step(number, batch=['a'])
    with pytest.raises(RunError, match=rf'\({most} in a row, {most} in all\).*The batch: a, b'):
        guard.step(most, batch=['a', 'b'])


def test_an_overflow_of_fp16_counts_as_refused():
    model, guard = guarded()
    model.overflow = 'the scale was too high'
    guard.step(1, batch=['a'])
    assert (guard.skipped, guard.skipped_in_row) == (1, 1)
    model.overflow = None
    guard.step(2, batch=['a'])
    assert (guard.skipped, guard.skipped_in_row) == (1, 0)


def test_the_message_says_what_was_not_finite():
    model, guard = guarded()
    model.given = float('inf')  # loss and gradient
    with pytest.raises(
        NonFiniteError, match=r'gradients of 1 parameters .* of net_g\.weight\.weight \(losses: cri_pix inf\)'
    ):
        model.optimize_parameters(1)
    model.loss_terms = {'pix': (torch.tensor(float('nan')), torch.tensor([1.0, 2.0]), 'no tensor')}
    model.given = 1.0
    with pytest.raises(NonFiniteError, match=r'the loss is not finite \(losses: pix\[0\] nan, pix\[1\] 1\.5\)'):
        model.optimize_parameters(1)
    guard._refuse('x', 'y')
    assert model.loss_terms == {}


def test_an_optimizer_whose_parameters_have_no_gradient_steps_with_norm_zero():
    model, guard = guarded(grad_clip=0.5)
    model.optimize_parameters = lambda iteration: model.optimizers[0].step()
    guard.step(1, batch=['a'])
    assert [norm.item() for norm in guard.norms] == [0]
    assert (model.weight, guard.skipped) == (3, 0)


def test_new_optimizers_are_watched_once():
    model, guard = guarded()
    guard.watch()
    model.optimizers = [torch.optim.SGD(model.net_g['weight'].parameters(), lr=1)]
    guard.watch()
    guard.step(1, batch=['a'])
    assert len(guard.norms) == 1


def test_a_loss_without_a_backward_pass_is_refused():
    refuse_unless_finite(torch.tensor(1.0))
    with pytest.raises(NonFiniteError):
        refuse_unless_finite(torch.tensor(float('nan')))

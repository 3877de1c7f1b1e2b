"""One process of a run that tests start with torchrun: the command, in float64, with accidents on request.

In float64 the order of additions hardly matters, so that runs with one and with two processes can be
compared closely. Batch norm uses its running statistics: those of a batch differ with its share.

Environment: ACCIDENT = '<rank> <iteration> <kill or raise>'.
"""

import os
import signal
import sys

import torch
import torch.nn.functional as F

from aibnet_arch import terminal
from tests.training import model_class

torch.set_num_threads(1)
terminal.FIRST_SECONDS = terminal.LAST_SECONDS = 0.0  # after each iteration the first process has a line to write
AIBNetModel = model_class()
feed_data, optimize_parameters = AIBNetModel.feed_data, AIBNetModel.optimize_parameters


def feed_data_in_float64(self, data):
    feed_data(self, {key: value.double() if torch.is_tensor(value) else value for key, value in data.items()})


def optimize_parameters_until_the_accident(self, current_iter):
    optimize_parameters(self, current_iter)
    rank, iteration, what = os.environ.get('ACCIDENT', '-1 -1 none').split()
    if (self.opt['rank'], current_iter) == (int(rank), int(iteration)):
        if what == 'raise':
            raise ValueError('an accident')
        os.kill(os.getpid(), signal.SIGKILL)


def batch_norm_of_running_statistics(self, x):
    return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, training=False, eps=self.eps)


if __name__ == '__main__':
    from aibnet_arch.commands.main import main

    torch.set_default_dtype(torch.float64)
    torch.nn.BatchNorm2d.forward = batch_norm_of_running_statistics
    AIBNetModel.feed_data = feed_data_in_float64
    AIBNetModel.optimize_parameters = optimize_parameters_until_the_accident
    sys.exit(main(sys.argv[1:]))

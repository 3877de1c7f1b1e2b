"""One of two processes (gloo) that tests start by hand: what they compute together, written as tensors.

Arguments: rank, a folder that both see.
"""

import sys
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed

from aibnet_arch import AIBNet
from aibnet_arch.distributed import in_any_process, on_device, take_buffers_of_first
from aibnet_arch.losses.aibnet_loss import AIBNetLoss
from tests.test_sync_batch_norm import BATCH, NETWORK


def step(rank: int, folder: Path, *, over_processes: bool) -> dict:
    """Buffers and mean gradients after a step of both processes, each with half of the batch."""
    lq, gt = torch.load(folder / 'batch.pt', weights_only=True)
    net = AIBNet(**NETWORK).double().train()
    net.load_state_dict(torch.load(folder / 'weights.pt', weights_only=True))
    net.set_process_batch_norm(over_processes)
    wrapped = on_device(net, torch.device('cpu'), {'dist': True, 'num_gpu': 0})
    share = slice(rank, BATCH, 2)  # as the sampler gives them
    AIBNetLoss()(wrapped(lq[share]), gt[share]).backward()
    of_process = {name: buffer.clone() for name, buffer in net.named_buffers()}
    take_buffers_of_first(net)
    return {
        'gradients': {name: p.grad for name, p in net.named_parameters() if p.grad is not None},
        'buffers': of_process,
        'buffers_of_first': dict(net.named_buffers()),
    }


if __name__ == '__main__':
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2, timeout=timedelta(seconds=60)
    )
    found = {
        'together': step(rank, folder, over_processes=True),
        'apart': step(rank, folder, over_processes=False),
        'any': [
            in_any_process(torch.tensor(rank == 1)),
            in_any_process(torch.tensor(False)),
            in_any_process(rank == 0),
        ],
    }
    torch.save(found, folder / f'{rank}.pt')
    distributed.barrier()
    distributed.destroy_process_group()

"""Which processes and GPUs a run takes, as far as a machine without GPUs can tell."""

from types import SimpleNamespace

import pytest
import torch

from aibnet_arch import distributed
from aibnet_arch.losses.aibnet_loss import AIBNetLoss, laplacian
from aibnet_arch.training import validations
from aibnet_arch.training.history import TrainingClock
from aibnet_arch.training.progress import TrainingProgress
from tests.training import make_dataset, options, run


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('gpus')
    make_dataset(root)
    return root


@pytest.fixture
def eight_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 8)


def test_one_process_on_several_gpus_is_refused_with_the_line_that_works(root, monkeypatch, capsys, eight_gpus):
    opt = options()
    opt['num_gpu'] = 'auto'
    opt['datasets']['train']['dataset_enlarge_ratio'] = 4
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    assert 'torchrun --standalone --nproc_per_node=8 -m aibnet_arch train -opt opt.yml --launcher pytorch' in told
    assert 'num_gpu: 1' in told
    assert not (root / 'experiments').exists()


def test_one_gpu_of_several_is_fine(root, monkeypatch, eight_gpus):
    class PassedError(Exception):
        """What comes next would need the GPU."""

    def seed(opt):
        raise PassedError

    opt = options()
    opt['num_gpu'] = 1
    monkeypatch.setattr('aibnet_arch.config.command_line._common_seed', seed)
    with pytest.raises(PassedError):
        run(opt, root=root, monkeypatch=monkeypatch)


@pytest.mark.parametrize(
    ('on_gpus', 'found', 'backend'), [(False, True, 'gloo'), (True, True, 'nccl'), (True, False, 'gloo')]
)
def test_the_processes_of_a_run_on_cpus_talk_by_gloo(on_gpus, found, backend, monkeypatch):
    """`num_gpu: 0` on a machine with GPUs, too."""
    joined, devices = [], []
    for name in ('RANK', 'WORLD_SIZE', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '0')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: found)
    monkeypatch.setattr(torch.cuda, 'set_device', devices.append)
    monkeypatch.setattr(distributed.dist, 'init_process_group', lambda backend: joined.append(backend))
    distributed.init_dist('pytorch', {}, on_gpus=on_gpus)
    assert joined == [backend]
    assert devices == ([0] if backend == 'nccl' else [])


def test_all_processes_validate_the_networks_of_the_first(monkeypatch):
    happened = []
    model = SimpleNamespace(
        opt={'rank': 1, 'train': {'total_iter': 9}},
        net_g=torch.nn.Linear(1, 1),
        net_g_ema=torch.nn.Linear(1, 1),
        validation=lambda *_: happened.append('validated'),
    )
    monkeypatch.setattr(validations, 'take_buffers_of_first', happened.append)
    loader = SimpleNamespace(dataset=SimpleNamespace(opt={'name': 'val'}))
    each = validations.Validations(
        model, loaders=[], clock=TrainingClock(), progress=TrainingProgress(model, loaders=[])
    )
    each.run(loader, 3, None, False, is_saved=False)
    assert happened == [model.net_g, model.net_g_ema, 'validated']


def test_the_loss_brings_nothing_to_the_gpu(monkeypatch):
    """Each tensor made of Python's numbers is a copy that a GPU waits for."""
    loss, pictures = AIBNetLoss(), torch.rand(2, 1, 3, 16, 16)
    expected = laplacian(pictures[0])
    monkeypatch.setattr(torch, 'tensor', lambda *_, **__: pytest.fail('copied'))
    assert set(loss.terms(*pictures)) == {'l_char', 'l_edge', 'l_freq'}
    assert torch.equal(laplacian(pictures[0], loss.taps), expected)
    assert not loss.state_dict()

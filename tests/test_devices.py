"""Devices that are not here: tensors that only pretend to be on a GPU, and Apple's GPU behind stand-ins.

A fake tensor has a shape and a device and no numbers. What would end on a GPU with "expected all tensors on one device"
ends so here, too; whether the numbers are right, and the backward pass, it cannot tell.
"""

import types

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode, unset_fake_temporarily

from aibnet_arch import AIBNet
from aibnet_arch.inference.restorer import InferenceSettings, Restorer
from aibnet_arch.losses import AIBNetLoss, PSNRLoss
from aibnet_arch.modeling.lean import Lean
from aibnet_arch.photos import memory
from aibnet_arch.photos.restoring import find_device

# Fake operations take as long for one pixel as for many.
SMALL = {'width': 8, 'encoder_blocks': [1, 0, 0, 0], 'middle_blocks': 0, 'blocks_per_level': 1, 'num_sub_decoders': 1}
SWITCHES = [
    {},
    {'encoder': 'ufpnet'},
    {'encoder': 'ufpnet', 'code_noise': True},
    {'freeze_encoder': True},
    {'sfem': False},
    {'hfs_block': False},
    {'num_masks': 0},
    {'heads': 2},
    {'normalize_logits': False},
    {'masked_logits': 'zero'},
    {'fusion': 'sam', 'num_sub_decoders': 2},
    {'fusion': 'fuse', 'num_sub_decoders': 2},
]
SETTINGS = [
    {},
    {'window': 32},
    {'tiles': {'size': 32, 'overlap': 8}},
    {'up_to': 1},
    {'channels_last': True},
    {'autocast': 'bf16'},
    {'autocast': 'fp16'},
    {'window': 32, 'channels_last': True, 'autocast': 'bf16'},
]


@pytest.fixture
def fake():
    """Inside, tensors of device cuda can be made, and hold nothing."""
    with FakeTensorMode(allow_non_fake_inputs=False) as mode:
        yield mode


def on_fake_gpu(module):
    """The module with its parameters and buffers there; `to` cannot move such tensors."""
    for each in module.modules():
        for name, value in each._parameters.items():
            if value is not None:
                there = torch.empty(value.shape, dtype=value.dtype, device='cuda')
                each._parameters[name] = torch.nn.Parameter(there, requires_grad=value.requires_grad)
        for name, value in each._buffers.items():
            if value is not None:
                each._buffers[name] = torch.empty(value.shape, dtype=value.dtype, device='cuda')
    module.to = lambda **layout: module
    return module


def network(**switches):
    with unset_fake_temporarily():  # whatever is no parameter and no buffer stays a tensor of the CPU
        made = AIBNet(**{'encoder': 'nafnet', 'freeze_encoder': False, **SMALL, **switches})
    return on_fake_gpu(made)


def pictures(height=64, width=48):
    return torch.empty(2, 3, height, width, device='cuda')


def on_gpu(tensor, like):
    return tensor.device.type == 'cuda' and tensor.shape == like.shape


@pytest.mark.parametrize('switches', SWITCHES, ids=str)
def test_each_network_trains_on_a_gpu_up_to_its_loss(switches, fake):
    net, blurred = network(**switches), pictures()
    net.set_stage(net.active_sub_decoders)
    net.train()
    restored = net(blurred)
    assert on_gpu(restored, blurred)
    for loss in (AIBNetLoss(), PSNRLoss()):
        assert on_fake_gpu(loss)(restored, pictures()).device.type == 'cuda'


@pytest.mark.parametrize('switches', SWITCHES, ids=str)
def test_each_network_restores_on_a_gpu_by_the_lean_parts(switches, fake):
    net, blurred = network(**switches).eval(), pictures(50, 70)  # padded
    with torch.no_grad():
        assert all(on_gpu(image, blurred) for image in net.images(blurred))
        net.lean = Lean(window=32, precision=torch.bfloat16)
        assert on_gpu(net(blurred), blurred)


@pytest.mark.parametrize('settings', SETTINGS, ids=str)
def test_each_setting_of_inference_works_on_a_gpu(settings, fake):
    blurred = pictures(50, 70)
    assert on_gpu(Restorer(network(encoder='ufpnet'), InferenceSettings(**settings))(blurred), blurred)


def test_a_tensor_that_stays_on_the_cpu_is_found(fake):
    """Else the tests above could not fail."""
    net = network()
    net.register_buffer('forgotten', torch.empty(3, 1, 1, device='cpu'))
    net.register_forward_pre_hook(lambda module, inputs: (inputs[0] * module.forgotten,))
    with pytest.raises(RuntimeError, match='device'):
        net(pictures())


# Apple's GPUs


def test_without_an_apple_gpu_mps_is_refused_in_words():
    if torch.backends.mps.is_available():
        pytest.skip('here is one')
    with pytest.raises(ValueError, match='--device mps: PyTorch sees no Apple GPU here'):
        find_device('mps')


def test_an_apple_gpu_is_taken_when_it_is_asked_for(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    assert find_device('mps').type == 'mps'
    assert find_device('auto').type != 'mps'


def test_the_memory_of_an_apple_gpu_is_the_machines(monkeypatch):
    emptied = []
    stand_in = types.SimpleNamespace(
        driver_allocated_memory=lambda: 3 << 30,
        recommended_max_memory=lambda: 8 << 30,
        empty_cache=lambda: emptied.append(True),
    )
    monkeypatch.setattr(torch, 'mps', stand_in)
    device = torch.device('mps')
    assert memory.used_memory(device) == 3 << 30
    free = types.SimpleNamespace(available=2 << 30)
    monkeypatch.setattr(memory.psutil, 'virtual_memory', lambda: free)
    assert memory.available_memory(device) == 2 << 30
    free.available = 64 << 30
    assert memory.available_memory(device) == 5 << 30
    memory.release_freed_memory(device)
    assert emptied

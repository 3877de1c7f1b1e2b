"""The kernels in Triton: in its interpreter, through its compiler, and refused where they cannot run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from aibnet_arch.errors import UserError
from aibnet_arch.inference.kernels import requirements
from aibnet_arch.inference.restorer import InferenceSettings, Restorer
from aibnet_arch.modeling.traits import Traits
from aibnet_arch.photos.restoring import Deblurrer
from tests.test_network import tiny

REPOSITORY = Path(__file__).parent.parent
ON = InferenceSettings(triton_kernels=True)


def in_a_process(*command, **environment):
    """Triton reads its environment when it is imported."""
    pytest.importorskip('triton')
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY), **environment}
    done = subprocess.run([sys.executable, *command], cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize('interpreted', ['1', '0'] if torch.cuda.is_available() else ['1'])
def test_kernels_equal_the_equations(interpreted, tmp_path):
    in_a_process('-m', 'pytest', '-q', '-p', 'no:cacheprovider', '--basetemp', tmp_path / 'inside',
                 'tests/interpreted_kernels.py', TRITON_INTERPRET=interpreted)  # fmt: skip


COMPILE = """
from triton import compile
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from aibnet_arch.inference.kernels import gate, layer_norm, norm_conv, position_sums

CONSTANTS = {
    gate: {'at_once': 16, 'padded': 16, 'has_bias': True},
    layer_norm: {'at_once': 16, 'padded': 16},
    norm_conv: {'at_once': 64, 'side': 64, 'step': 64, 'has_bias': True, 'tensor_cores': True},
    position_sums: {'at_once': 32, 'side': 16, 'tensor_cores': True},
}
SHARED = {75: 64 << 10, 80: 163 << 10, 90: 227 << 10}  # bytes that a program may have
FLOATS = ('products', 'of_queries', 'of_keys', 'weight', 'bias', 'scale', 'shift')
for module, constants in CONSTANTS.items():
    names = module._kernel.arg_names
    maps = {name: '*fp32' if name in FLOATS else '*bf16' for name in ('source', 'result', 'pairs', *FLOATS)}
    signature = {name: 'constexpr' if name in constants else maps.get(name, 'i32') for name in names}
    signature.update({'eps': 'fp32'} if 'eps' in names else {})
    values = {(names.index(name),): value for name, value in constants.items()}
    for capability in SHARED:
        made = compile(ASTSource(module._kernel, signature, values), target=GPUTarget('cuda', capability, 32))
        assert made.asm['cubin'] and made.metadata.shared <= SHARED[capability], (module, capability)
        print(capability, 'mma' in made.asm['ptx'])
"""


def test_triton_compiles_them_for_a_gpu(tmp_path):
    """What the interpreter runs is not all that the compiler takes."""
    told = in_a_process('-c', COMPILE, TRITON_INTERPRET='0', TRITON_CACHE_DIR=str(tmp_path)).splitlines()
    without = ['75 False', '80 False', '90 False']
    products = ['75 False', '80 True', '90 True']  # by tensor cores, where they have TF32
    assert told == [*without, *without, *products, *products]


# Where they cannot run


@pytest.fixture
def nothing_there(monkeypatch):
    monkeypatch.delenv('TRITON_INTERPRET', raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)


def told_by(settings):
    return list(settings.problems(num_sub_decoders=1))


def test_without_a_gpu_it_is_told_what_is_needed(nothing_there, monkeypatch):
    monkeypatch.setattr(requirements, 'find_spec', lambda name: object())
    needed = "triton_kernels: needs a GPU; to try it on a CPU, slowly, in triton's interpreter, set TRITON_INTERPRET=1"
    assert told_by(ON) == [f'val.{needed}']
    assert told_by(InferenceSettings()) == []
    with pytest.raises(UserError, match=needed):
        Restorer(tiny(), ON)
    with pytest.raises(ValueError, match='--triton-kernels: needs a GPU'):
        Deblurrer(tiny(), device='cpu', triton_kernels=True)
    monkeypatch.setenv('TRITON_INTERPRET', '1')
    assert told_by(ON) == []


def test_a_network_on_the_cpu_is_refused_beside_a_gpu(nothing_there, monkeypatch):
    monkeypatch.setattr(requirements, 'find_spec', lambda name: object())
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    assert told_by(ON) == []
    with pytest.raises(UserError, match='needs a GPU'):
        Restorer(tiny(), ON)


def test_without_triton_it_is_told_how_to_get_it(nothing_there, monkeypatch):
    monkeypatch.setattr(requirements, 'find_spec', lambda name: None)
    assert told_by(ON) == ['val.triton_kernels: needs triton: pip install triton (PyTorch for CUDA on Linux brings it)']


def test_what_does_not_go_with_them(monkeypatch):
    monkeypatch.setattr('aibnet_arch.inference.restorer.missing', lambda device=None: None)
    (told,) = told_by(InferenceSettings(triton_kernels=True, compile=True))
    assert told.startswith('val.triton_kernels: not with compile')
    (told,) = told_by(InferenceSettings(triton_kernels='yes'))
    assert told == "val.triton_kernels: 'yes': expected true or false"
    assert not ON.of(Traits('Restormer')).triton_kernels
    assert ON.of(Traits('NAFNet', windows=True)).triton_kernels
    with pytest.raises(ValueError, match='--triton-kernels: AIBNet, NAFNet and UFPNet have parts for them'):
        Deblurrer(torch.nn.Conv2d(3, 3, 1), device='cpu', triton_kernels=True)

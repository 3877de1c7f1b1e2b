"""Files of weights: wrong kinds of tensors, names and metadata, damage, other files."""

import json
import pickle
import random
import struct
from pathlib import Path
from typing import Any

import torch

from tools.hostile_case import FORGED, Case, Sandbox, hostile_text, hostile_value, nested

DTYPES = ('F4', 'F8_E8M0', 'F6_E2M3', 'BOOL', 'U64', 'C64', 'BF16', 'F64', 'X', '', 1)


def weight_case(sandbox: Sandbox, rng: random.Random) -> Case:
    """A file for `info`, `convert`, `export`, `deblur`, or as an option of `check`."""
    way = rng.choice((_tensors, _entries, _damaged, _safetensors, _other))
    path, told = way(sandbox, rng)
    out = 'out' + rng.choice(('.pth', '.safetensors'))
    commands: dict[str, list[str]] = {
        'info': ['info', path, *rng.choice(([], ['--json'], ['--options']))],
        'convert': ['convert', path, out, *rng.choice(([], ['--param-key', 'params'], ['--param-key', 'x\x1b[2K']))],
        'export': ['export', path, 'out.onnx', '--size', '16', '16'],
        'deblur': ['deblur', 'data', '-o', 'out', '--weights', path],
        'check': ['check', '-opt', 'opt.yml'],
        'test': ['test', '-opt', 'opt.yml'],
    }
    command = rng.choices(list(commands), (6, 5, 1, 2, 5, 2))[0]
    if command in ('check', 'test'):
        opt = sandbox.option_copy() if command == 'check' else sandbox.test_options()
        keys = ('pretrain_network_g', 'pretrain_network_encoder', 'pretrain_network_stages')
        opt['path'][rng.choice(keys) if command == 'check' else keys[0]] = path
        sandbox.write_options(opt)
    return Case(commands[command], (command, way.__name__, told))


def _tensor(rng: random.Random) -> Any:
    plain = torch.ones(2, 3)
    made = (
        lambda: plain.to(torch.float8_e4m3fn),
        lambda: torch.complex(plain, plain).conj(),
        lambda: torch.complex(plain, plain).conj().imag,
        lambda: plain.to_sparse(),
        lambda: plain.to_sparse_csr(),
        lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
        lambda: torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8),
        lambda: torch.empty(2, device='meta'),
        lambda: torch.ones(1).expand(10**4, 10**3),
        lambda: torch.full((2,), float('nan')),
        lambda: torch.tensor(2**63 - 1),
        lambda: torch.ones(0),
        lambda: torch.ones([1] * 20),
        lambda: plain.half(),
        lambda: torch.zeros(2, dtype=torch.bool),
        lambda: torch.nn.Parameter(plain),
        lambda: plain.t(),
    )
    return rng.choice(made)()


def _saved(content: Any, rng: random.Random) -> str:
    path = 'hostile.pth'
    torch.save(content, path, _use_new_zipfile_serialization=rng.random() < 0.8)
    return path


def _tensors(sandbox: Sandbox, rng: random.Random) -> tuple[str, Any]:
    tensor = _tensor(rng)
    state = dict(sandbox.network.state_dict())
    told = f'{type(tensor).__name__} {tensor.dtype} {tensor.layout}'
    content = rng.choice((tensor, {'params': tensor}, {'x': tensor}, {'params': {'x': tensor}}, [tensor]))
    if rng.random() < 0.5:
        state[rng.choice(list(state))] = tensor
        content = {'params': state}
    return _saved(content, rng), told


def _entries(sandbox: Sandbox, rng: random.Random) -> tuple[str, Any]:
    state: dict = dict(sandbox.network.state_dict())
    content: dict = {'params': state}
    name, value = hostile_text(rng), hostile_value(rng)
    way = rng.choice(('name', 'value', 'key', 'iter', 'options', 'nested', 'signature', 'tuple'))
    if way == 'name':
        state[name] = state.pop(rng.choice(list(state)))
    elif way == 'value':
        state[rng.choice(list(state))] = value
    elif way == 'key':
        content[name] = rng.choice((value, content.pop('params')))
    elif way in ('iter', 'options'):
        content[way] = rng.choice((value, name, 10**4000, f'name: x\n{FORGED}', 'x: ' * 1000))
    elif way == 'nested':
        content = nested(rng, content)
    elif way == 'signature':
        key = next(key for key in state if key.endswith('_extra_state'))
        state[key] = rng.choice((value, torch.tensor(list(json.dumps(name).encode()), dtype=torch.uint8)))
    else:
        content = {(1, 2): state, None: state, 5: value}
    return _saved(content, rng), (way, repr(name), repr(value)[:200])


def _damaged(sandbox: Sandbox, rng: random.Random) -> tuple[str, Any]:
    content = bytearray(Path('sound.pth').read_bytes())
    way = rng.choice(('cut', 'bytes', 'zeros', 'twice', 'head'))
    if way == 'cut':
        content = content[: rng.randrange(len(content))]
    elif way == 'bytes':
        for _ in range(rng.choice((1, 10, 1000))):
            content[rng.randrange(len(content))] = rng.randrange(256)
    elif way == 'zeros':
        content = bytearray(rng.choice((1, 511, 512, 10**7)))
    elif way == 'twice':
        content = content + content
    else:
        content[: rng.randrange(1, 600)] = b''
    Path('hostile.pth').write_bytes(bytes(content))
    return 'hostile.pth', way


def _safetensors(sandbox: Sandbox, rng: random.Random) -> tuple[str, Any]:
    tensor = {
        'dtype': rng.choice(('F32', *DTYPES)),
        'shape': rng.choice(([2], [0], [-1], [2**40], 'x')),
        'data_offsets': [0, 8],
    }
    metadata: Any = rng.choice(
        (
            {'param_key': hostile_text(rng), 'iter': rng.choice(('5', '9' * 6000, '-1', '५', 'x'))},
            {'param_key': 'params', 'options': f'x\n{FORGED}\x1b[2K'},
            {hostile_text(rng): hostile_text(rng)},
            {'format': 'tf', 'param_key': ''},
            [],
        )
    )
    header = {hostile_text(rng) if rng.random() < 0.5 else 'x': tensor, '__metadata__': metadata}
    text = json.dumps(header).encode('utf-8', 'surrogatepass')
    length = rng.choice((len(text), len(text), len(text), 2**62, 0, len(text) - 1))
    Path('hostile.safetensors').write_bytes(struct.pack('<Q', length) + text + bytes(8))
    return 'hostile.safetensors', ascii(header)[:300]


def _other(sandbox: Sandbox, rng: random.Random) -> tuple[str, Any]:
    way = rng.choice(('pickle', 'folder', 'link', 'device', 'name', 'text', 'missing'))
    path = 'hostile.pth'
    if way == 'pickle':
        Path(path).write_bytes(pickle.dumps(rng.choice((print, 5, {'params': print}, [[[]]], hostile_value(rng)))))
    elif way == 'folder':
        Path(path).mkdir()
    elif way == 'link':
        Path(path).symlink_to(rng.choice(('hostile.pth', '/proc/self/mem', '/nowhere', 'data')))
    elif way == 'device':
        path = rng.choice(('/dev/null', '/dev/zero', '/proc/self/mem', '/proc/self/environ', '/sys'))
    elif way == 'name':
        path = f'{hostile_text(rng)[:50]}.pth'.replace('/', '_').replace('\x00', '')
        shutil_copy('sound.pth', path)
    elif way == 'text':
        Path(path).write_text(hostile_text(rng), errors='surrogatepass')
    else:
        path = hostile_text(rng).replace('\x00', '')
    return path, (way, path[:100])


def shutil_copy(source: str, target: str) -> None:
    Path(target).write_bytes(Path(source).read_bytes())

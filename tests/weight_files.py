"""What the tests of files of weights share: a tiny network, saved as a training saves it."""

import os
from pathlib import Path

import torch
import yaml

from aibnet_arch import AIBNet
from tests.test_signature import noisy
from tests.training import options


class Bomb:
    """Unpickling it makes a folder called boom."""

    def __reduce__(self):
        return os.mkdir, ('boom',)


def saved(path: Path, *, keys=('params',), **changes) -> AIBNet:
    """A network with random weights, written to `path` with what a training writes beside them."""
    net = noisy(num_sub_decoders=2, **changes)
    state = net.state_dict()
    torch.save({**dict.fromkeys(keys, state), 'iter': 9, 'options': yaml.safe_dump(options())}, path)
    return net


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


# Name of the file, and what makes it: none of them is a file of weights.
HOSTILE = {
    'missing.pth': lambda path: None,
    'folder.pth': Path.mkdir,
    'empty.pth': Path.touch,
    'empty.safetensors': Path.touch,
    'text.pth': lambda path: path.write_text('weights, honestly'),
    'text.safetensors': lambda path: path.write_text('weights, honestly'),
    'code.pth': lambda path: torch.save({'params': {'bomb': Bomb()}}, path),
    'number.pth': lambda path: torch.save(3, path),
    'nothing.pth': lambda path: torch.save({}, path),
    'header.safetensors': lambda path: path.write_bytes((1 << 40).to_bytes(8, 'little') + b'{}'),
    'other.safetensors': lambda path: torch.save({'params': {'a': torch.ones(2)}}, path),
    'hollow.pth': lambda path: torch.save({'params': {'a': torch.zeros(1).expand(1 << 40)}}, path),
    'sparse.pth': lambda path: torch.save({'params': {'a': torch.eye(3).to_sparse()}}, path),
}

"""Every command and every piece of Python in docs/weights.md, executed."""

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest

from aibnet_arch.commands.main import main
from aibnet_arch.weights import box
from tests.weight_files import saved

PAGE = (Path(__file__).parent.parent / 'docs/weights.md').read_text(encoding='utf-8')


def test_what_the_page_says_works(tmp_path, monkeypatch):
    for package in ('onnx', 'onnxruntime', 'spandrel'):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / 'net_g_latest.pth')
    saved(tmp_path / 'with_ema.pth', keys=('params', 'params_ema'))
    shipped = tmp_path / 'shipped.safetensors'
    saved(tmp_path / 'small.pth')
    assert main(['convert', 'small.pth', str(shipped)]) == 0
    monkeypatch.setattr(box, 'FILE', shipped)
    cv2.imwrite('photo.jpg', np.random.default_rng(0).integers(0, 256, (48, 40, 3), np.uint8))
    commands = re.findall(r'^    basicsr (.+)$', PAGE, flags=re.MULTILINE)
    assert len(commands) == 12
    for command in commands:
        assert main(shlex.split(command, comments=True)) == 0, command
    pieces = re.findall(r'^```python\n(.+?)^```$', PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(pieces) == 4
    for piece in pieces:
        exec(compile(piece, 'docs/weights.md', 'exec'), {})

"""What docs/training.md promises of a run: TensorBoard, Weights & Biases, and freezing by name."""

import json
import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from aibnet_arch.evaluation.shown_pictures import MOST, SIDE, ShownPictures
from tests.training import log_of, make_dataset, model_class, options, run, weights

# As wandb 0.31 looks to BasicSR: `wandb.util.generate_id` is gone.
WANDB = """
import json
from types import SimpleNamespace
util = SimpleNamespace()
def init(**given):
    json.dump({key: value for key, value in given.items() if key != 'config'}, open('wandb.json', 'w'))
    return SimpleNamespace(id=given['id'] or 'drawn')
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    make_dataset(tmp_path)
    (tmp_path / 'site/wandb').mkdir(parents=True)
    (tmp_path / 'site/wandb/__init__.py').write_text(WANDB)
    monkeypatch.syspath_prepend(tmp_path / 'site')
    return tmp_path


def logged(root, **wandb):
    opt = options(stage_iter=[2, 1], total_iter=3)
    opt['logger'].update(print_freq=1, use_tb_logger=True, wandb={'project': 'trial', **wandb})
    opt['val']['val_freq'] = 3
    return opt


def test_tensorboard_and_wandb_are_told_all_that_the_log_tells(root, monkeypatch):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    assert run(logged(root), root=root, monkeypatch=monkeypatch) == 0
    events = accumulator.EventAccumulator(str(root / 'tb_logger/run'))
    events.Reload()
    rates = [each.value for each in events.Scalars('learning_rate')]
    assert len(rates) == 3 and rates[0] > rates[1]  # the cosine of stage 1
    assert [each.step for each in events.Scalars('grad_norm')] == [1, 2, 3]
    assert all(each.value > 0 for each in events.Scalars('grad_norm'))
    assert 'grad_norm' in log_of(root)
    pictures = events.Tags()['images']
    assert pictures == ['val/p0 before_after_truth', 'val/p1 before_after_truth']
    shown = Image.open(BytesIO(events.Images(pictures[0])[0].encoded_image_string))
    assert shown.size == (3 * 40, 40)

    assert json.loads((root / 'wandb.json').read_text()) == {
        'project': 'trial',
        'name': 'run',
        'id': None,
        'resume': None,
        'sync_tensorboard': True,
    }
    assert 'logger.wandb.resume_id: drawn' in log_of(root)


def test_a_run_of_wandb_is_gone_on_with(root, monkeypatch):
    assert run(logged(root, resume_id='mine'), root=root, monkeypatch=monkeypatch) == 0
    told = json.loads((root / 'wandb.json').read_text())
    assert (told['id'], told['resume']) == ('mine', 'allow')


class Writer(list):
    def add_image(self, *given, dataformats):
        self.append((*given, dataformats))


def test_a_few_pictures_are_shown_by_their_middle():
    written = Writer()
    shown = ShownPictures(written, 'set', 7)
    large = np.zeros((SIDE + 20, SIDE + 100, 3), np.uint8)
    large[10:-10, 50:-50] = (10, 20, 30)
    for number in range(MOST + 1):
        shown.add(f'p{number}', before=large[::2, ::2], after=large, truth=large[..., 0] if number else None)
    assert [each[0] for each in written] == [
        'set/p0 before_after',
        'set/p1 before_after_truth',
        'set/p2 before_after_truth',
    ]
    _, picture, iteration, formats = written[0]
    assert (iteration, formats, picture.shape) == (7, 'HWC', (SIDE, 2 * SIDE, 3))
    assert (picture[:, SIDE:] == (30, 20, 10)).all()  # RGB, and nothing of the rim
    assert not shown.wants_more()
    assert not ShownPictures(None, 'set', 7).wants_more()


def test_the_docs_class_freezes_by_name(tmp_path, monkeypatch):
    page = (Path(__file__).parent.parent / 'docs/training.md').read_text()
    (code,) = re.findall(r'```python\n(class MyModel.*?)```', page, re.DOTALL)
    names = {'AIBNetModel': model_class()}
    exec(code, names)
    from basicsr.utils.registry import MODEL_REGISTRY

    monkeypatch.setitem(MODEL_REGISTRY._obj_map, 'MyModel', names['MyModel'])
    make_dataset(tmp_path)
    opt = options(stage_iter=[2, 1], total_iter=3)
    opt['model_type'] = 'MyModel'
    opt['val']['val_freq'] = 100
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    first, last = weights(tmp_path, 1), weights(tmp_path, 2)
    moved = {key for key, value in first.items() if not torch.equal(value, last[key])}
    assert moved and not [key for key in moved if '.sfem.' in key]
    assert any('.sfem.' in key for key in first)

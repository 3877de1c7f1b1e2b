"""A network in a folder of the Hub's layout and back, its card, and what is refused. Nothing is sent anywhere."""

import json
import subprocess
import sys

import pytest
import torch
import yaml

from aibnet_arch.errors import CheckpointError
from aibnet_arch.weights import read_network
from aibnet_arch.weights.conversion import equal_bits
from aibnet_arch.weights.weight_file import WeightFile
from tests.deblurring import network, save

pytest.importorskip('huggingface_hub')
from aibnet_arch.weights.hub import AIBNet

OPTIONS = 'name: night | run\nmanual_seed: 7\ntrain:\n  total_iter: 5000\n'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A network of a file, saved as a folder."""
    place = tmp_path_factory.mktemp('hub')
    path = save(network(num_sub_decoders=2), place / 'net.pth', iter=5000, options=OPTIONS)
    AIBNet.from_file(path).save_pretrained(place / 'saved')
    return place


def test_what_comes_back_is_the_same_network(folder):
    image = torch.rand(1, 3, 20, 33)
    back = AIBNet.from_pretrained(folder / 'saved')
    with torch.no_grad():
        assert torch.equal(back(image), network(num_sub_decoders=2)(image))
    assert not back.training
    assert back.about == {'iter': 5000, 'options': OPTIONS}
    assert json.loads((folder / 'saved/config.json').read_text())['num_sub_decoders'] == 2
    assert read_network(folder / 'saved/model.safetensors', param_key=None).arguments == back.arguments


def test_saving_again_replaces_the_weights(folder, tmp_path):
    first, second = AIBNet.from_pretrained(folder / 'saved'), AIBNet.from_pretrained(folder / 'saved')
    first.save_pretrained(tmp_path)
    with torch.no_grad():
        second.sub_decoders[0].to_residual.weight.zero_()
    second.save_pretrained(tmp_path)
    assert not AIBNet.from_pretrained(tmp_path).sub_decoders[0].to_residual.weight.any()


def test_the_card_says_what_the_weights_say(folder):
    text = (folder / 'saved/README.md').read_text()
    head = yaml.safe_load(text.split('---')[1])
    assert head['pipeline_tag'] == 'image-to-image'
    assert 'license' not in head
    assert 'at iteration 5,000' in text
    assert '2 of 2 sub-decoders are trained' in text
    assert '| `name` | night \\| run |' in text
    assert '| `train.total_iter` | 5000 |' in text
    assert 'under which licence they are' in text


def test_a_licence_goes_into_the_card(tmp_path):
    AIBNet(**network().arguments).save_pretrained(tmp_path, model_card_kwargs={'license': 'cc-by-4.0'})
    text = (tmp_path / 'README.md').read_text()
    assert yaml.safe_load(text.split('---')[1])['license'] == 'cc-by-4.0'
    assert 'under which licence' not in text
    assert 'do not say how they were trained' in text


def test_a_config_that_is_not_of_the_weights_is_refused(folder, tmp_path):
    AIBNet.from_pretrained(folder / 'saved').save_pretrained(tmp_path)
    config = json.loads((tmp_path / 'config.json').read_text())
    (tmp_path / 'config.json').write_text(json.dumps({**config, 'width': 64}))
    with pytest.raises(CheckpointError, match=r'width of its config\.json'):
        AIBNet.from_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match='strict'):
        AIBNet.from_pretrained(folder / 'saved', strict=False)


def test_a_folder_without_weights_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match='no file'):
        AIBNet.from_pretrained(tmp_path)


def test_pushing_sends_the_same_files(folder, tmp_path, monkeypatch):
    sent = {}
    monkeypatch.setattr('huggingface_hub.hub_mixin.HfApi', lambda **_: Api(sent))
    AIBNet.from_pretrained(folder / 'saved').push_to_hub('somebody/aibnet')
    assert sorted(sent) == ['README.md', 'config.json', 'model.safetensors']
    (tmp_path / 'sent.safetensors').write_bytes(sent['model.safetensors'])
    back, saved = (
        WeightFile.read(path) for path in (tmp_path / 'sent.safetensors', folder / 'saved/model.safetensors')
    )
    assert back.about() == saved.about()
    assert equal_bits(back.entries['params'], saved.entries['params'])


class Api:
    """In place of the Hub's."""

    def __init__(self, sent):
        self.sent = sent

    def create_repo(self, repo_id, **_):
        return type('Repo', (), {'repo_id': repo_id})

    def upload_folder(self, *, folder_path, **_):
        from pathlib import Path

        self.sent.update({path.name: path.read_bytes() for path in Path(folder_path).iterdir()})


def test_the_network_alone_does_not_ask_for_it():
    code = 'import sys, aibnet_arch; aibnet_arch.AIBNet; print("huggingface_hub" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout == 'False\n'

"""docs/extending.md: its example of a module in SFEM's place, taken from the page, does what the page says."""

import re
from pathlib import Path

import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.errors import CheckpointError
from aibnet_arch.modeling.arguments import check_arguments
from aibnet_arch.modeling.sfem import SFEM
from aibnet_arch.modeling.spatial import SPATIAL_MODULES
from aibnet_arch.weights import read_network
from tests.test_network import TINY, tiny

PAGE = (Path(__file__).parent.parent / 'docs' / 'extending.md').read_text()
SECTION = PAGE.split("## Another module in SFEM's place")[1].split('\n## ')[0]


@pytest.fixture
def options():
    """What the page has below `network_g`, after its Python file was imported."""
    before = dict(SPATIAL_MODULES)
    (code,) = re.findall(r'```python\n(.*?)```', SECTION, re.DOTALL)
    exec(compile(code, 'docs/extending.md', 'exec'), {'__name__': 'large_kernel'})
    (text,) = re.findall(r'```yaml\n(.*?)```', SECTION, re.DOTALL)
    options = yaml.safe_load(text)['network_g']
    assert options.pop('type') == 'AIBNet'
    yield options
    SPATIAL_MODULES.clear()
    SPATIAL_MODULES.update(before)


def test_the_example_trains_runs_and_is_saved(options, tmp_path):
    net = tiny(**options)
    own = [module for module in net.modules() if type(module).__name__ == 'LargeKernel']
    assert len(own) == 4
    assert not any(isinstance(module, SFEM) for module in net.modules())
    image = torch.rand(2, 3, 32, 48)
    net.train()(image).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for module in own for p in module.parameters())

    net.eval()
    with torch.no_grad():
        lean = net(image)
        net.lean = None
        torch.testing.assert_close(net(image), lean, rtol=1e-5, atol=1e-5)
        net.sub_decoders[0].levels[0].sfdh_blocks[0].sfem.far.weight.add_(1)
        assert not torch.allclose(net(image), lean)

    torch.save({'params': net.state_dict()}, tmp_path / 'net.pth')
    loaded = read_network(tmp_path / 'net.pth')
    assert loaded.arguments['spatial'] == 'large_kernel'
    with torch.no_grad():
        torch.testing.assert_close(loaded(image), net(image), rtol=1e-5, atol=1e-5)
    check_arguments(net.arguments)
    with pytest.raises(CheckpointError, match="spatial is 'large_kernel' there and 'sfem' here"):
        tiny().set_extra_state(net.get_extra_state())


def test_where_the_name_is_not_known_the_weights_say_so(options, tmp_path):
    torch.save({'params': tiny(**options).state_dict()}, tmp_path / 'net.pth')
    del SPATIAL_MODULES['large_kernel']
    with pytest.raises(CheckpointError, match="spatial='large_kernel': expected one of sfem"):
        read_network(tmp_path / 'net.pth')


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'spatial': 'sfen'}, "spatial='sfen': expected one of sfem"),
        ({'spatial': ['sfem']}, r"spatial=\['sfem'\]: expected one of sfem"),
        ({'spatial': 'large_kernel', 'sfem': False}, 'which sfem=False leaves out'),
    ],
)
def test_a_wrong_name_is_refused(options, changes, message):
    with pytest.raises(ValueError, match=message):
        AIBNet(**{**TINY, **changes})


def test_the_signature_of_other_weights_does_not_know_of_it():
    """Earlier versions refuse what they do not know."""
    assert b'spatial' not in bytes(tiny().get_extra_state().tolist())

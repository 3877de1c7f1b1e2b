"""Restormer, NAFNet and others beside AIBNet: trained, resumed, validated and tested, whoever brings their networks."""

import importlib.util
import shutil
import sys
from pathlib import Path

import pytest
import torch

from aibnet_arch.basicsr_patches.preparation import prepare
from aibnet_arch.commands.main import COMMANDS
from aibnet_arch.errors import UserError
from aibnet_arch.evaluation.validation import _test_padded
from aibnet_arch.losses.psnr_loss import PSNRLoss
from aibnet_arch.registries import other_networks, plugins
from aibnet_arch.registries.on_demand import register_wanted
from aibnet_arch.registries.other_networks import OTHER_NETWORKS
from tests.training import METRICS, assert_equal_weights, dataset_options, log_of, make_dataset, options, run, weights

NAFNET = {'width': 4, 'enc_blk_nums': [1, 1], 'middle_blk_num': 1, 'dec_blk_nums': [1, 1]}
RESTORMER = {'dim': 8, 'num_blocks': [1, 1, 1, 1], 'num_refinement_blocks': 1, 'LayerNorm_type': 'WithBias'}
REPOSITORY = Path(__file__).parent.parent
SIZE = 44  # no multiple of 8, which Restormer needs
# What somebody's checkout or plugin brings under the name of a known network.
ARCH_FILE = """
from basicsr.utils.registry import ARCH_REGISTRY
from torch import nn


@ARCH_REGISTRY.register()
class Restormer(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.own_layer = nn.Conv2d(3, 3, dim, padding='same')

    def forward(self, x):
        return x + self.own_layer(x)
"""


@pytest.fixture
def registries():
    """The registries by name; what a test registers is forgotten."""
    prepare()
    from basicsr.utils import registry

    found = {'arch': registry.ARCH_REGISTRY, 'loss': registry.LOSS_REGISTRY}
    # What other tests of this process have registered on demand.
    for one in found.values():
        for name, thing in list(one._obj_map.items()):
            if thing.__module__.startswith(('spandrel', 'aibnet_arch.losses.psnr_loss')):
                del one._obj_map[name]
    before = {name: dict(one._obj_map) for name, one in found.items()}
    yield found
    for name, entries in before.items():
        found[name]._obj_map.clear()
        found[name]._obj_map.update(entries)


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('beside')
    make_dataset(root, size=SIZE)
    return root


def options_of(network: str, arguments: dict, *, name: str, **train) -> dict:
    """Options of 4 iterations with the plain model class."""
    opt = options(total_iter=4, **train)
    opt.update(name=name, model_type='SRModel', network_g={'type': network, **arguments})
    del opt['train']['stage_iter']
    opt['train'].update(
        optim_g={'type': 'AdamW', 'lr': 1e-3, 'betas': [0.9, 0.9]},
        scheduler={'type': 'CosineAnnealingRestartLR', 'periods': [4], 'eta_min': 1e-7},
        grad_clip=0.01,
    )
    opt['val'].update(pad_to=8, val_freq=2)
    return opt


def load_arch_file(folder: Path):
    """As BasicSR does with the files *_arch.py of its folder."""
    (folder / 'restormer_arch.py').write_text(ARCH_FILE)
    spec = importlib.util.spec_from_file_location('basicsr.archs.restormer_arch', folder / 'restormer_arch.py')
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Trained, resumed, validated, tested


@pytest.mark.parametrize(
    ('network', 'arguments', 'loss'),
    [
        ('NAFNet', NAFNET, {'type': 'PSNRLoss', 'loss_weight': 1}),
        ('NAFNet', NAFNET, {'type': 'AIBNetLoss'}),
        ('Restormer', RESTORMER, {'type': 'L1Loss'}),
        ('Restormer', {'dim': 3}, {'type': 'AIBNetLoss'}),  # the checkout's own
    ],
)
def test_train_resume_validate_and_test(network, arguments, loss, root, tmp_path, registries, monkeypatch):
    if arguments == {'dim': 3}:
        load_arch_file(tmp_path)
    opt = options_of(network, arguments, name='run', pixel_opt=loss)
    here = tmp_path / 'whole'
    shutil.copytree(root, here)
    assert run(opt, root=here, monkeypatch=monkeypatch) == 0
    log = log_of(here)
    assert log.count('# psnr') == 2  # at 2 and 4
    whole = weights(here, 'latest')
    assert ('own_layer.weight' in whole) == (arguments == {'dim': 3})
    for later in ('3', '4', 'latest'):
        for path in (here / 'experiments/run').glob(f'*/*{later}.*'):
            path.unlink()
    assert run(opt, root=here, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    assert 'Resuming training from epoch: 1, iter: 2' in log_of(here)
    assert_equal_weights(whole, weights(here, 'latest'))

    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g')}
    test.update(name='test_run', datasets={'test': dataset_options('val')})
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_latest.pth'}
    test['val'] = {'save_img': True, 'metrics': METRICS, 'pad_to': 8}
    assert run(test, root=here, monkeypatch=monkeypatch, command='test') == 0
    assert f'# psnr: {_last_psnr(log):.4f}' in log_of(here, 'test_run')
    assert len(list((here / 'results/test_run/visualization/val').glob('*.png'))) == 2


def _last_psnr(log: str) -> float:
    return float(log.rpartition('# psnr: ')[2].split()[0])


# Who owns a name


def test_a_checkouts_own_network_stays(tmp_path, registries):
    own = load_arch_file(tmp_path).Restormer
    register_wanted({'network_g': {'type': 'Restormer'}})
    assert registries['arch'].get('Restormer') is own


def test_another_plugins_network_stays_whatever_its_place_in_the_order(registries, monkeypatch):
    def register(name):
        def put():
            registries['arch'].register(type(name, (torch.nn.Module,), {'__module__': 'other.plugin'}))

        return put

    def plugin(name, loaded):
        return type('Plugin', (), {'name': name, 'value': f'{name}:register', 'load': lambda self: loaded})()

    found = [plugin('aaa', register('NAFNet')), plugin('zzz', register('Restormer'))]
    monkeypatch.setattr(plugins, 'entry_points', lambda: {plugins.GROUP: found})
    assert plugins.load_plugins() == ['aaa', 'zzz']
    register_wanted({'network_g': {'type': 'NAFNet'}, 'network_d': {'type': 'Restormer'}})
    for name in ('NAFNet', 'Restormer'):
        assert registries['arch'].get(name).__module__ == 'other.plugin'

    found[:] = [plugin('later', register('AIBNet'))]
    with pytest.raises(UserError, match=r'aibnet_arch\.modeling\.aibnet \(first\) and other\.plugin.*uninstall'):
        plugins.load_plugins()


def test_a_second_owner_is_refused_by_whatever_way_it_comes(tmp_path, registries):
    """Not by an assertion, which `python -O` takes away; and registering the same thing again is no collision."""
    first = load_arch_file(tmp_path).Restormer
    with pytest.raises(UserError, match=r'two packages register .Restormer.: basicsr\.archs\.restormer_arch \(first\)'):
        registries['arch'].register()(type('Restormer', (), {}))
    registries['arch'].register(first)
    assert registries['arch'].get('Restormer') is first


def test_only_what_the_options_name_is_registered(registries):
    register_wanted({'network_g': {'type': 'Uformer'}, 'train': {'pixel_opt': {'type': 'L1Loss'}}})
    assert 'Uformer' in registries['arch']
    assert 'NAFNet' not in registries['arch']
    assert 'PSNRLoss' not in registries['loss']
    for odd in ({}, {'network_g': None, 'train': 3}, {'network_g': {'type': ['NAFNet']}, 5: 1}):
        register_wanted(odd)  # pre-flight tells what is wrong


def test_a_loss_of_the_same_name_stays(registries):
    own = type('PSNRLoss', (torch.nn.Module,), {})
    registries['loss'].register(own)
    register_wanted({'train': {'pixel_opt': {'type': 'PSNRLoss'}}})
    assert registries['loss'].get('PSNRLoss') is own


def test_without_the_extra_it_says_what_to_install(root, registries, monkeypatch, capsys):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        other_networks.importlib.util, 'find_spec', lambda name: None if 'spandrel' in name else found(name)
    )
    assert run(options_of('Restormer', RESTORMER, name='no'), root=root, monkeypatch=monkeypatch) == 2
    assert 'pip install spandrel-extra-arches' in capsys.readouterr().err
    assert not (root / 'experiments/no').exists()


# The networks themselves


@pytest.mark.parametrize(
    ('name', 'millions'),  # of their papers and repositories
    [
        ('NAFNet', 67.89),
        ('NAFNetLocal', 67.89),
        ('Restormer', 26.13),
        ('MPRNet', 20.1),
        ('Uformer', 50.88),
        ('FFTformer', 16.6),
    ],
)
def test_the_published_sizes(name, millions):
    network = OTHER_NETWORKS[name].build()
    assert type(network).__name__ == name
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, rel=3e-3)


def test_nafnet_with_tlc_is_nafnet_up_to_its_window():
    plain, local = (OTHER_NETWORKS[name].cls()(**NAFNET).eval() for name in ('NAFNet', 'NAFNetLocal'))
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    local.load_state_dict(plain.state_dict())
    with torch.no_grad():
        for size, same in (((384, 64), True), ((400, 64), False)):
            image = torch.rand(1, 3, *size)
            assert torch.equal(plain(image), local(image)) == same


def test_mprnet_is_tested_and_not_trained(root, registries, monkeypatch, capsys):
    tiny = {'n_feat': 8, 'scale_unetfeats': 4, 'scale_orsnetfeats': 4, 'num_cab': 1}
    assert run(options_of('MPRNet', tiny, name='mprnet'), root=root, monkeypatch=monkeypatch) == 2
    assert 'network_g.type: MPRNet trains on the images of all its three stages' in capsys.readouterr().err
    network = registries['arch'].get('MPRNet')(**tiny)
    with pytest.raises(UserError, match='three stages'):
        network(torch.rand(1, 3, 16, 16))
    assert network.eval()(torch.rand(1, 3, 16, 24)).shape == (1, 3, 16, 24)


def test_the_psnr_loss_is_the_negative_psnr():
    target = torch.rand(2, 3, 8, 8)
    noise = torch.stack([torch.full((3, 8, 8), 0.1), torch.full((3, 8, 8), 0.01)])
    assert float(PSNRLoss()(target + noise, target)) == pytest.approx(-(20 + 40) / 2, abs=1e-2)
    assert float(PSNRLoss(loss_weight=0.5)(target + noise, target)) == pytest.approx(-15, abs=1e-2)
    same = target.clone().requires_grad_()
    PSNRLoss()(same, target).backward()
    assert torch.isfinite(same.grad).all()
    for wrong in (lambda: PSNRLoss(reduction='sum'), lambda: PSNRLoss()(target, target[:1])):
        with pytest.raises(ValueError, match=r'sum|shape'):
            wrong()


# Pictures of any size


@pytest.mark.parametrize(
    ('val', 'seen'),
    [
        ({}, (20, 45)),
        ({'pad_to': 8}, (24, 48)),
        ({'pad_to': 16, 'pad_to_square': True}, (48, 48)),
        ({'pad_to_square': True}, (45, 45)),
    ],
)
def test_pictures_are_padded_and_cropped_back(val, seen):
    class Model:
        def __init__(self):
            self.opt = {'val': val}

        def test(self):
            self.seen = tuple(self.lq.shape[2:])
            self.output = self.lq.repeat_interleave(2, 2).repeat_interleave(2, 3)  # scale 2

    model = Model()
    model.lq = picture = torch.rand(1, 3, 20, 45)
    _test_padded(model)
    assert model.seen == seen
    assert torch.equal(model.output[..., ::2, ::2], picture)
    assert model.output.shape == (1, 3, 40, 90)
    assert model.lq is picture


def test_without_padding_restormer_refuses_such_a_picture(root, registries, monkeypatch, capsys):
    opt = options_of('Restormer', RESTORMER, name='unpadded')
    del opt['val']['pad_to']
    with pytest.raises(RuntimeError):
        run(opt, root=root, monkeypatch=monkeypatch)


def test_the_commands_of_the_docs_page_exist():
    page = (REPOSITORY / 'docs/beside.md').read_text()
    commands = [line.split() for line in page.splitlines() if line.startswith('    ') and 'basicsr ' in line]
    commands = [words for words in commands if words[0] == 'basicsr']
    assert {words[1] for words in commands} == {'train', 'test', 'compare', 'dropin'} <= COMMANDS.keys()
    for words in commands:
        if '-opt' in words:
            assert (REPOSITORY / words[words.index('-opt') + 1]).is_file()

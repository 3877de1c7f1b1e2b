"""The ablation switches: each changes what its name says, and nothing else."""

import importlib.util
import json
import math

import pytest
import torch
from torch.nn import functional as F

from aibnet_arch import AIBNet
from aibnet_arch.config.option_file import load_option_file
from aibnet_arch.modeling.arguments import ArgumentsError
from aibnet_arch.modeling.fusion import FuseFusion, SAMFusion
from aibnet_arch.modeling.hfs_block import MaskedAttention
from aibnet_arch.modeling.lean import Lean, strips
from aibnet_arch.modeling.signature import KEY, Signature
from aibnet_arch.weights.pretrained import load_stages
from tests.test_network import TINY, tiny
from tests.test_options import OPTIONS, flat

IMAGE = torch.rand(2, 3, 40, 33, generator=torch.Generator().manual_seed(5))


def shaken(**changes):
    """A network in evaluation mode whose parameters are all random, those at zero and one too."""
    net = tiny(num_sub_decoders=2, **changes)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net.eval()


def with_weights_of(base, **changes):
    """The network with a switch, all that both have taken from the base; the keys that only one of them has."""
    net = tiny(num_sub_decoders=2, **changes).eval()
    theirs, own = base.state_dict(), net.state_dict()
    theirs.pop(KEY), own.pop(KEY)
    assert all(theirs[key].shape == own[key].shape for key in theirs.keys() & own.keys())
    net.load_state_dict({**own, **{key: theirs[key] for key in theirs.keys() & own.keys()}, KEY: net.get_extra_state()})
    return net, theirs.keys() - own.keys(), own.keys() - theirs.keys()


@torch.no_grad()
def outputs(net, image=IMAGE):
    return torch.stack(net.images(image))


# Table 3: the parts


@pytest.mark.parametrize('window', [None, 16])
@pytest.mark.parametrize('thin', [False, True])
def test_without_sfem_is_a_network_whose_w_is_zero(window, thin, monkeypatch):
    if thin:
        monkeypatch.setattr(strips, 'CPU_BYTES', 1)
        monkeypatch.setattr(strips, 'LEAST_ROWS', 4)
    base = shaken()
    net, gone, come = with_weights_of(base, sfem=False)
    assert gone and not come
    assert all('.sfem.' in key or key.endswith('.sfem_weight') for key in gone)
    assert not [key for key in net.state_dict() if 'sfem' in key]
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            if name.endswith('sfem_weight'):
                parameter.zero_()
    for each in (base, net):
        each.lean = Lean(window=window)
    torch.testing.assert_close(outputs(net), outputs(base), rtol=1e-5, atol=1e-5)


def test_without_hfs_block_is_a_network_whose_lambda_is_zero():
    base = shaken()
    net, gone, come = with_weights_of(base, hfs_block=False)
    assert gone and not come
    assert all('.hfs_block.' in key for key in gone)
    assert not [key for key in net.state_dict() if 'hfs' in key]
    with torch.no_grad():
        for name, parameter in base.named_parameters():
            if name.endswith('hfs_block.attention.fusion'):
                parameter.zero_()
    torch.testing.assert_close(outputs(net), outputs(base), rtol=1e-5, atol=1e-5)


def test_without_hfs_block_a_batch_of_one_may_train():
    with pytest.raises(ValueError, match='batch of one'):
        tiny().train()(IMAGE[:1])
    tiny(hfs_block=False).train()(IMAGE[:1]).mean().backward()


# Table 4: the masks, and how they are read


@pytest.mark.parametrize('count', range(6))
def test_num_masks_changes_the_lambda_alone(count):
    base, other = tiny(num_sub_decoders=2), tiny(num_sub_decoders=2, num_masks=count)
    shapes = [{key: value.shape for key, value in net.state_dict().items() if key != KEY} for net in (base, other)]
    differing = {key for key in shapes[0].keys() | shapes[1].keys() if shapes[0].get(key) != shapes[1].get(key)}
    assert bool(differing) == (count != 4)
    assert all(key.endswith('hfs_block.attention.fusion') for key in differing)
    attention = other.sub_decoders[0].levels[0].hfs_block.attention
    assert attention.kept == tuple(8 * i // (i + 1) for i in range(1, count + 1))


@pytest.mark.parametrize('scale', [1, 60])
def test_masked_to_zero_is_the_sentence_word_for_word(scale):
    """ "Retain the elements of the first i/(i+1), and the others are set to 0", then the softmax."""
    torch.manual_seed(0)
    attention = MaskedAttention(head_channels=9, num_masks=4, masked_logits='zero').double()
    attention.lambdas.data.uniform_(-1, 1)
    logits = scale * torch.randn(2, 1, 9, 9, dtype=torch.float64)
    logits[0, 0, 0] -= 100 * scale  # all kept ones far below zero
    total = torch.zeros_like(logits)
    for i, sparse in enumerate(attention.maps(logits), start=1):
        expected = torch.empty_like(logits)
        for b in range(2):
            for row in range(9):
                values = logits[b, 0, row].tolist()
                top = sorted(range(9), key=lambda column: -values[column])[: 9 * i // (i + 1)]
                masked = [values[column] if column in top else 0.0 for column in range(9)]
                powers = [math.exp(value - max(masked)) for value in masked]
                expected[b, 0, row] = torch.tensor([power / sum(powers) for power in powers], dtype=torch.float64)
        torch.testing.assert_close(sparse, expected, rtol=1e-10, atol=1e-12)
        total += attention.lambdas[i - 1] * expected
    torch.testing.assert_close(attention(logits), total, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    'changes', [{'masked_logits': 'zero'}, {'normalize_logits': False}, {'alpha_init': 0.2}], ids=str
)
def test_readings_change_the_output_and_no_weight(changes):
    base = shaken()
    net, gone, come = with_weights_of(base, **changes)
    assert not gone and not come
    assert (outputs(net) - outputs(base)).abs().max() > 1e-5
    back = with_weights_of(net)[0]
    assert torch.equal(outputs(back), outputs(base))


# The readings that the README lists


def filled(net, of, value):
    """The network with one value in all parameters of that name."""
    named = [parameter for name, parameter in net.named_parameters() if name.split('.')[-1] in of]
    assert named
    with torch.no_grad():
        for parameter in named:
            parameter.fill_(value)
    return net


@pytest.mark.parametrize('window', [None, 16])
def test_a_temperature_is_one_over_beta(window):
    base = filled(shaken(logit_scale='beta'), ['beta'], 0.25)
    net, gone, come = with_weights_of(base, logit_scale='temperature')
    assert {key.split('logits.')[1] for key in gone} == {'beta'}
    assert {key.split('logits.')[1] for key in come} == {'temperature'}
    filled(net, ['temperature'], 4.0)
    base.lean = net.lean = Lean(window=window)
    torch.testing.assert_close(outputs(net), outputs(base), rtol=1e-5, atol=1e-5)
    assert (outputs(filled(net, ['temperature'], 1.0)) - outputs(base)).abs().max() > 1e-5


@pytest.mark.parametrize('window', [None, 16])
def test_scaled_branches_at_one_are_unscaled(window):
    base = shaken()
    net, gone, come = with_weights_of(base, branch_scale=True)
    assert not gone
    assert {key.split('.')[-1] for key in come} == {'sca_scale', 'feed_forward_scale'}
    base.lean = net.lean = Lean(window=window)
    for name in ('sca_scale', 'feed_forward_scale'):
        assert (outputs(net) - outputs(base)).abs().max() > 1e-5
        filled(net, [name], 1.0)
    torch.testing.assert_close(outputs(net), outputs(base), rtol=1e-5, atol=1e-5)


def test_a_scalar_w_is_a_w_of_equal_entries():
    base = filled(shaken(), ['sfem_weight'], 0.7)
    scalar = tiny(num_sub_decoders=2, sfem_weight='scalar').eval()
    assert {p.shape for n, p in scalar.named_parameters() if n.endswith('sfem_weight')} == {(1, 1, 1)}
    weights = {key: value for key, value in base.state_dict().items() if not key.endswith('sfem_weight') and key != KEY}
    scalar.load_state_dict({**scalar.state_dict(), **weights})
    torch.testing.assert_close(outputs(filled(scalar, ['sfem_weight'], 0.7)), outputs(base), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('changes', [{'lambda_init': 0.2}, {'alpha_deviation': 0.5}, {'logit_scale_init': 1}], ids=str)
def test_what_a_parameter_starts_at_is_forgotten_with_weights(changes):
    base, other = shaken(), tiny(num_sub_decoders=2, **changes).eval()
    assert not torch.equal(outputs(other), outputs(tiny(num_sub_decoders=2).eval()))
    other.load_state_dict(base.state_dict())
    assert torch.equal(outputs(other), outputs(base))


def test_readings_of_earlier_versions_are_not_said_so_that_those_read_the_weights():
    said = json.loads(bytes(tiny(logit_scale='beta').get_extra_state().tolist()))['arguments']
    new = {'logit_scale', 'logit_scale_init', 'lambda_init', 'alpha_deviation', 'sfem_weight', 'branch_scale'}
    assert not new & said.keys()
    assert 'lambda_init' in json.loads(bytes(tiny(lambda_init=0.2).get_extra_state().tolist()))['arguments']


def test_weights_that_do_not_say_their_scale_divide_by_beta():
    """Those from before a temperature was the default."""
    before = shaken(logit_scale='beta')
    signature = Signature.of(before.state_dict())
    assert signature.arguments['logit_scale'] == 'beta' and tiny().arguments['logit_scale'] == 'temperature'
    again = AIBNet(**signature.arguments).eval()
    again.load_state_dict(before.state_dict())
    assert torch.equal(outputs(again), outputs(before))
    with pytest.raises(Exception, match="logit_scale is 'beta' there and 'temperature' here"):
        tiny(num_sub_decoders=2).set_extra_state(before.get_extra_state())


# Table 6: fusion, and what trains


def test_sam_weighs_features_by_the_image_they_make():
    torch.manual_seed(0)
    fusion = SAMFusion(4).double()
    features = [torch.randn(2, 4 * 2**i, 16 >> i, 16 >> i, dtype=torch.float64) for i in range(4)]
    image = torch.rand(2, 3, 16, 16, dtype=torch.float64)
    for level, (x, result) in enumerate(zip(features, fusion(features, image))):
        sam = fusion.levels[level]
        small = image.unflatten(2, (-1, 2**level)).unflatten(4, (-1, 2**level)).mean(dim=(3, 5))
        mix = lambda layer, x: torch.einsum('oi,bihw->bohw', layer.weight[:, :, 0, 0], x)  # noqa: E731
        restored = mix(sam.to_residual, x) + small
        expected = x + mix(sam.features, x) / (1 + torch.exp(-mix(sam.weigh, restored)))
        torch.testing.assert_close(result, expected, rtol=1e-10, atol=1e-10)


def test_fuse_adds_the_finer_level():
    torch.manual_seed(0)
    fusion = FuseFusion(4).double()
    features = [torch.randn(2, 4 * 2**i, 16 >> i, 16 >> i, dtype=torch.float64) for i in range(4)]
    finest, *others = fusion(features, None)
    assert torch.equal(finest, features[0])
    for x, finer, result, (conv, norm) in zip(features[1:], features, others, fusion.down):
        corners = [finer[:, :, dy::2, dx::2] for dy in range(2) for dx in range(2)]
        taps = [conv.weight[:, :, dy, dx] for dy in range(2) for dx in range(2)]
        down = sum(torch.einsum('oi,bihw->bohw', tap, corner) for tap, corner in zip(taps, corners))
        down = (down + conv.bias[:, None, None]).permute(0, 2, 3, 1)
        down = F.layer_norm(down, down.shape[-1:], norm.weight, norm.bias, 1e-6).permute(0, 3, 1, 2)
        torch.testing.assert_close(result, x + down, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('fusion', ['sam', 'fuse'])
def test_a_fusion_stands_between_the_sub_decoders_and_trains_with_the_later(fusion, tmp_path):
    base = shaken()
    net, gone, come = with_weights_of(base, fusion=fusion)
    assert not gone and all(key.startswith('fusions.0.') for key in come)
    assert torch.equal(outputs(net)[0], outputs(base)[0])  # before the gap nothing has changed
    assert not torch.equal(outputs(net)[1], outputs(base)[1])
    trains = {}
    for stage in (1, 2, None):
        net.set_stage(stage)
        trains[stage] = {'.'.join(n.split('.')[:2]) for n, p in net.named_parameters() if p.requires_grad}
    assert not [part for part in trains[1] if part.startswith('fusions')]
    assert trains[2] == {'sub_decoders.1', 'fusions.0'}
    assert trains[None] >= {'sub_decoders.0', 'sub_decoders.1', 'fusions.0'}
    three = tiny(num_sub_decoders=3, fusion=fusion).eval()
    net.set_stage(2)
    torch.save({'params': net.state_dict()}, tmp_path / 'two.pth')
    assert load_stages(three, tmp_path / 'two.pth') == 2
    assert torch.equal(outputs(three)[:2], outputs(net))


def test_trainable_parameters_of_table_6():
    """Direct training of L against progressive: paper -122.01 M."""
    with torch.device('meta'):
        nets = {fusion: AIBNet(num_sub_decoders=4, fusion=fusion) for fusion in ('none', 'sam', 'fuse')}

    def trainable(net, stage):
        net.set_stage(stage)
        return sum(p.numel() for p in net.parameters() if p.requires_grad) / 1e6

    direct = {fusion: trainable(net, None) for fusion, net in nets.items()}
    for stage in range(1, 5):
        assert trainable(nets['none'], stage) - direct['none'] == pytest.approx(-122.01, rel=0.01)
    # The paper's +6.12 and +1.32 M fit no module of these names that we know of: ours are told as they are.
    assert direct['sam'] - direct['none'] == pytest.approx(1.06, abs=0.01)
    assert direct['fuse'] - direct['none'] == pytest.approx(2.07, abs=0.01)


# Weights know of the switches


@pytest.mark.parametrize(
    'changes',
    [
        {'sfem': False},
        {'hfs_block': False},
        {'masked_logits': 'zero'},
        {'fusion': 'sam'},
        {'logit_scale': 'beta'},
        {'sfem_weight': 'scalar'},
        {'branch_scale': True},
    ],
    ids=str,
)
def test_weights_go_into_a_network_with_the_same_switches_alone(changes):
    with pytest.raises(Exception, match=f'{next(iter(changes))} is'):
        tiny(num_sub_decoders=2).set_extra_state(tiny(num_sub_decoders=2, **changes).get_extra_state())


def test_weights_from_before_the_switches_still_load():
    net = tiny()
    fields = json.loads(bytes(net.get_extra_state().tolist()))
    for name in ('sfem', 'hfs_block', 'masked_logits', 'fusion'):
        del fields['arguments'][name]
    earlier = Signature(**fields).to_tensor()
    net.load_state_dict({**net.state_dict(), KEY: earlier})
    assert AIBNet(**Signature.of({KEY: earlier}).arguments).arguments == net.arguments


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'sfem': 0}, 'sfem=0'),
        ({'hfs_block': 'no'}, "hfs_block='no'"),
        ({'masked_logits': 'none'}, "masked_logits='none': expected one of dropped, zero"),
        ({'fusion': 'SAM'}, "fusion='SAM': expected one of none, sam, fuse"),
        ({'fusion': ['sam']}, 'fusion='),
        ({'logit_scale': 'temp'}, "logit_scale='temp': expected one of beta, temperature"),
        ({'logit_scale_init': 'sqrt'}, "logit_scale_init='sqrt': expected a number from 1e-06 to 1e"),
        ({'lambda_init': 'mean'}, "lambda_init='mean': expected a number from -1000 to 1000"),
        ({'alpha_deviation': -0.1}, 'alpha_deviation=-0.1: expected a number from 1e-06 to 10'),
        ({'sfem_weight': 1}, 'sfem_weight=1: expected one of channel, scalar'),
        ({'branch_scale': 'zero'}, "branch_scale='zero': expected true or false"),
    ],
)
def test_a_wrong_value_of_a_switch_is_named(changes, message):
    with pytest.raises(ValueError, match=message):
        AIBNet(**{**TINY, **changes})


def test_all_wrong_values_are_told_at_once():
    changes = {'encoder': 'nafnett', 'width': 0, 'heads': [1, 2], 'sfem': 0, 'spatial': 'large', 'num_masks': 10**9}
    with pytest.raises(ArgumentsError) as error:
        AIBNet(**{**TINY, **changes})
    assert str(error.value).splitlines() == list(error.value.problems)
    named = {text.split('=')[0] for text in error.value.problems[:-1]}
    assert named == {'encoder', 'width', 'heads', 'sfem', 'spatial'}
    assert 'make more than 4000 blocks and masks' in error.value.problems[-1]
    assert any("(did you mean 'nafnet'?)" in text for text in error.value.problems)


# The option files


def generator():
    spec = importlib.util.spec_from_file_location('generate', OPTIONS / 'ablation' / 'generate.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = generator()
VARIANTS = list(GENERATOR.variants())


def test_the_files_are_those_that_the_generator_writes():
    written = {str(path.relative_to(OPTIONS)) for path in (OPTIONS / 'ablation').glob('*/*.yml')}
    by_hand = {'ablation/small/AIBNet-S.yml', 'ablation/small/NAFNet.yml'}
    assert written == by_hand | {file for file, *_ in VARIANTS}
    for file, name, base, changes in VARIANTS:
        assert (OPTIONS / file).read_text() == GENERATOR.text_of(name, base, changes), f'{file} is out of date'


@pytest.mark.parametrize(('file', 'name', 'base', 'changes'), VARIANTS, ids=[file for file, *_ in VARIANTS])
def test_a_variant_differs_from_its_base_in_its_switch_alone(file, name, base, changes):
    own, theirs = (load_option_file(OPTIONS / path) for path in (file, base))
    before, after = flat(theirs), flat(own)
    differing = {key for key in before.keys() | after.keys() if before.get(key, '') != after.get(key, '')}
    assert differing - {'name'} == {key for key, value in changes.items() if before.get(key, '') != value}
    assert own['name'] == name
    if own['network_g']['type'] != 'AIBNet':
        return
    with torch.device('meta'):
        net = AIBNet(**{key: value for key, value in own['network_g'].items() if key != 'type'})
    for key, value in changes.items():
        section, _, argument = key.partition('.')
        if section == 'network_g':
            assert net.arguments[argument] == value

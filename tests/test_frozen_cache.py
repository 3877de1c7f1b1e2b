"""train.frozen_cache: what frozen parts give is computed once, to the same bits; never half, never of other weights."""

import errno
import os
from copy import deepcopy

import pytest
import torch

from aibnet_arch.errors import RunError, UserError
from aibnet_arch.files import sync_folder
from aibnet_arch.modeling import AIBNet
from aibnet_arch.modeling.lean import Lean
from tests.training import NETWORK, assert_equal_weights, log_of, make_dataset, model_class, options, run, weights

model_class()
from aibnet_arch.training import frozen_cache  # noqa: E402  BasicSR is mended first
from aibnet_arch.training.frozen_cache import FrozenCache, RecordFile  # noqa: E402

TINY = {key: value for key, value in NETWORK.items() if key != 'type'}


def network(stage, **changes):
    torch.manual_seed(1)
    net = AIBNet(**{**TINY, 'freeze_encoder': True, **changes})
    for parameter in net.parameters():
        if not parameter.detach().any():  # a fresh network's branches and residuals are off
            torch.nn.init.normal_(parameter, std=0.1)
    net.set_stage(stage)
    return net.train()


@pytest.fixture(scope='module')
def start(tmp_path_factory):
    """Pictures, and weights whose encoder can stay frozen."""
    root = tmp_path_factory.mktemp('start')
    make_dataset(root)
    torch.save({'params': network(None).state_dict()}, root / 'start.pth')
    return root


def cached_options(start, *, cache=True, **train):
    opt = options(**train)
    opt['network_g']['freeze_encoder'] = True
    opt['path']['pretrain_network_g'] = str(start / 'start.pth')
    for name in ('train', 'val'):
        for key in ('lq', 'gt'):
            opt['datasets'][name][f'dataroot_{key}'] = str(start / f'data/{name}/{key}.lmdb')
    opt['datasets']['train']['fixed_crops'] = 9
    opt['val']['val_freq'] = 100
    opt['logger']['save_checkpoint_freq'] = 7
    if cache:
        opt['train']['frozen_cache'] = {'folder': 'cache', 'gigabytes': 0.1}
    return opt


@pytest.fixture
def computed(monkeypatch):
    """The stage of each batch that the frozen parts computed."""
    stages, original = [], AIBNet.frozen_features

    def frozen_features(self, image):
        stages.append(self.stage)
        return original(self, image)

    monkeypatch.setattr(AIBNet, 'frozen_features', frozen_features)
    return stages


@pytest.mark.parametrize('train', [{}, {'ema_decay': 0.5, 'amp': 'bf16', 'channels_last': True}])
def test_a_run_comes_to_the_same_bits_and_goes_on_so(start, tmp_path, monkeypatch, computed, train):
    for name in ('without', 'with'):
        (tmp_path / name).mkdir()
        opt = cached_options(start, cache=name == 'with', **train)
        assert run(opt, root=tmp_path / name, monkeypatch=monkeypatch) == 0
    expected, found = (weights(tmp_path / name, 'latest') for name in ('without', 'with'))
    assert_equal_weights(expected, found)
    # Of 9 crops, batches of 4 leave one out: two batches in the first epoch, the one with that crop in a later one.
    assert 2 <= computed.count(1) <= 3
    assert 2 <= computed.count(2) <= 3
    assert len(list((tmp_path / 'with/cache').iterdir())) == 1  # that of stage 2, no lock

    (tmp_path / 'with/experiments/run/models/net_g_latest.pth').unlink()
    computed.clear()
    assert run(opt, root=tmp_path / 'with', monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    assert computed == [2]  # the first batch, to see whether this machine computes the same
    assert_equal_weights(expected, weights(tmp_path / 'with', 'latest'))
    assert 'starts anew' not in log_of(tmp_path / 'with')


def test_the_encoder_that_trains_is_not_kept(start, tmp_path, monkeypatch, computed):
    opt = cached_options(start)
    opt['network_g']['freeze_encoder'] = False
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    assert set(computed) == {2}


REFUSED = {
    'no fixed crops': (
        lambda opt: opt['datasets']['train'].pop('fixed_crops'),
        'Otherwise each epoch cuts other crops',
    ),
    'compiled': (lambda opt: opt['train'].update(compile=True), 'train.compile'),
    'patches': (
        lambda opt: opt['datasets']['train'].update(iters=[9], gt_sizes=[16], mini_batch_sizes=[4]),
        'datasets.train.iters cuts',
    ),
    'nothing frozen': (
        lambda opt: (
            opt['network_g'].update(freeze_encoder=False),
            opt['train'].update(strategy='direct', stage_iter=None),
        ),
        'nothing is frozen',
    ),
    'beyond the bound': (
        lambda opt: opt['train']['frozen_cache'].update(gigabytes=1e-4),
        'the crops take 0.00 GB, gigabytes allows 0.00',
    ),
    'beyond the disk': (
        lambda opt: (
            opt['datasets']['train'].update(fixed_crops=10**8),
            opt['train']['frozen_cache'].update(gigabytes=1e9),
        ),
        'the crops take 6,348.80 GB, there are free',
    ),
    'misspelled': (
        lambda opt: opt['train']['frozen_cache'].update(foldr='x'),
        "train.frozen_cache.foldr: nothing reads this key (did you mean 'folder'?)",
    ),
    'fixed crops that are no number': (lambda opt: opt['datasets']['train'].update(fixed_crops='x'), 'fixed_crops'),
    'less than a batch': (lambda opt: opt['datasets']['train'].update(fixed_crops=3), 'expected from 4'),
}


@pytest.mark.parametrize(('change', 'told'), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_kept_is_refused_before_anything_is_made(start, tmp_path, monkeypatch, capsys, change, told):
    opt = cached_options(start)
    change(opt)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 2
    message = capsys.readouterr().err
    assert told in message
    assert '2. ' not in message
    assert [path.name for path in tmp_path.iterdir()] == ['opt.yml']


def test_several_processes_and_noise_are_refused(start, monkeypatch):
    opt, noisy = cached_options(start), network(1, encoder='ufpnet', code_noise=True)
    assert not list(frozen_cache.check_frozen_cache(opt, network(1)))
    assert [str(problem) for problem in frozen_cache.check_frozen_cache(opt, noisy)] == [
        'train.frozen_cache: network_g.code_noise draws other noise in each iteration'
    ]
    monkeypatch.setenv('WORLD_SIZE', '2')
    (problem,) = frozen_cache.check_frozen_cache(opt, network(1))
    assert 'is for one process' in str(problem)


# The cache itself


@pytest.fixture
def opened(tmp_path):
    """Caches in one folder, closed at the end."""
    made = []

    def open_cache(net, *, crops=4, most=1e9, **decides):
        if made:
            made[-1].close()
        made.append(FrozenCache(net, folder=tmp_path / 'cache', most=most, crops=crops, decides=decides))
        return made[-1]

    yield open_cache
    made[-1].close()


@pytest.fixture
def warned(monkeypatch):
    told = []
    logger = frozen_cache.get_root_logger()
    monkeypatch.setattr(logger, 'warning', told.append)
    return told


def crops(count, *, seed=0):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    'changes',
    [
        {'stage': 1, 'encoder': 'ufpnet'},
        {'stage': 2, 'size': 40},
        {'stage': None},
        {'stage': 3, 'fusion': 'sam'},
        {'stage': 3, 'fusion': 'fuse', 'lean': Lean(precision=torch.bfloat16)},
        {'stage': 2, 'lean': None},
    ],
    ids=str,
)
def test_kept_features_are_the_computed_ones_in_any_batch(opened, computed, changes):
    changes = dict(changes)
    stage, size, lean = changes.pop('stage'), changes.pop('size', 32), changes.pop('lean', Lean())
    net = network(stage, num_sub_decoders=3, **changes)
    net.lean = lean
    cache = opened(net)
    images = torch.rand(4, 3, size, size)
    for order in ([0, 1], [2, 3]):
        cache.features(images[order])
    computed.clear()
    for order in ([3, 0], [1, 2], [1, 1]):
        kept, expected = cache.features(images[order]), AIBNet.frozen_features(net, images[order])
        assert len(kept) == len(expected) == 5
        for one, other in zip(kept, expected):
            assert torch.equal(one, other)
            assert one.dtype == other.dtype
            assert one.stride() == other.stride()
        assert torch.equal(net(images[order], frozen=kept), net(images[order]))
    assert len(computed) == 3  # those of the comparison


def test_other_weights_settings_and_layouts_never_meet_what_is_kept(opened, computed, tmp_path, warned):
    net, images = network(2), crops(2)
    names = set()

    def name(net, images=images, **decides):
        cache = opened(net, **decides)
        cache.features(images)
        found = [path.name for path in (tmp_path / 'cache').glob('*.features')]
        assert len(found) == 1  # what others left is removed
        names.add(found[0])
        return found[0]

    first = name(net, amp='bf16')
    assert name(net, amp='bf16') == first
    name(net, amp=None)
    name(net, images=crops(3))  # other batches are computed by other kernels
    for part in (net.encoder, net.sub_decoders[0]):
        next(part.parameters()).data[0] += 1e-6
        name(net)
    buffer = next(b for n, b in net.sub_decoders[0].named_buffers() if 'running' in n)
    buffer += 1e-6
    name(net)
    net.sub_decoders[1].to_residual.bias.data += 1  # which trains
    last = name(net)
    assert len(names) == 6
    assert name(network(1)) not in (first, last)
    other = network(2, alpha_init=0.7)
    weights = {key: value for key, value in net.state_dict().items() if key != '_extra_state'}  # of other arguments
    assert other.load_state_dict(weights, strict=False) == (['_extra_state'], [])
    assert name(other) not in (first, last)
    assert not warned


def test_another_stage_is_another_file(opened, tmp_path):
    assert opened(network(1)).features(crops(2))[0].shape == (2, 8, 32, 32)
    first = {path.name for path in (tmp_path / 'cache').glob('*.features')}
    opened(network(2)).features(crops(2))
    assert not first & {path.name for path in (tmp_path / 'cache').glob('*.features')}


def test_a_damaged_record_is_seen_in_the_first_batch(opened, computed, tmp_path, warned):
    net = network(1)
    opened(net).features(crops(2)), opened(net).features(crops(2))
    assert not warned
    (path,) = (tmp_path / 'cache').glob('*.features')
    content = bytearray(path.read_bytes())
    content[frozen_cache.PAGE + 5] ^= 1
    path.write_bytes(content)
    cache = opened(net)
    cache.features(crops(2))
    assert len(warned) == 1
    assert 'starts anew' in warned[0]
    computed.clear()
    kept = cache.features(crops(2))
    assert computed == []
    assert torch.equal(kept[0], net.frozen_features(crops(2))[0])


def test_crops_beyond_the_list_are_computed_and_told_once(opened, computed, warned):
    cache = opened(network(1), crops=3)
    for _ in range(2):
        for seed in (1, 2):
            cache.features(crops(2, seed=seed))
    assert len(computed) == 3
    assert len(warned) == 1
    assert 'full' in warned[0]


def test_a_second_run_in_the_folder_is_refused(opened, tmp_path):
    opened(network(1)).features(crops(2))
    second = FrozenCache(network(1), folder=tmp_path / 'cache', most=1e9, crops=4, decides={})
    with pytest.raises(UserError, match=r'another run uses train\.frozen_cache\.folder'):
        second.features(crops(2))


def test_the_bound_holds_for_the_size_that_is_measured(opened, tmp_path):
    with pytest.raises(RunError, match='gigabytes allows'):
        opened(network(1), most=1e5).features(crops(2))
    assert not (tmp_path / 'cache').exists()


# The file


def record(number, size=100):
    return bytes([number]) * 16, torch.full((size,), number, dtype=torch.uint8)


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'posix_fallocate', full)
    with pytest.raises(RunError, match=r'cannot be taken in .*: No space left on device. Make room'):
        RecordFile(tmp_path / 'x', count=3, size=100)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('lived', [0, 1, 2, 3])
def test_a_process_that_is_killed_while_it_writes_leaves_whole_records_or_none(tmp_path, lived):
    sync_folder(tmp_path)
    file = RecordFile(tmp_path / 'x', count=3, size=100)
    file.write(dict([record(1)]))
    if not (child := os.fork()):
        original, calls = file._write, []

        def write(place, content):
            if len(calls) == lived:
                original(place, memoryview(content)[: len(content) // 2])
                os._exit(9)
            calls.append(place)
            original(place, content)

        file._write = write
        file.write(dict([record(2), record(3)]))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    again = RecordFile(tmp_path / 'x', count=3, size=100)
    for number in (1, 2, 3):
        digest, content = record(number)
        assert (digest in again) == (number == 1 or (number == 2 and lived == 3))
        if digest in again:
            assert torch.equal(again.read(digest), content)
    assert again.write(dict([record(4)])) == (lived < 3)


@pytest.mark.parametrize('length', [0, 4096 + 150, 4096 + 301])
def test_a_file_of_another_length_is_made_anew(tmp_path, length):
    RecordFile(tmp_path / 'x', count=3, size=100).write(dict([record(1)]))
    os.truncate(tmp_path / 'x', length)
    assert len(RecordFile(tmp_path / 'x', count=3, size=100)) == 0
    assert (tmp_path / 'x').stat().st_size == 4096 + 300


def test_the_reckoned_size_is_the_measured_one():
    for size in (32, 40):
        features = network(2).frozen_features(torch.rand(2, 3, size, size))
        measured = sum(feature[0].numel() * 4 for feature in features)
        assert frozen_cache._reckoned(8, -(-size // 16) * 16, itemsize=4) == measured


def test_options_stay_as_they_are(start):
    opt = {**cached_options(start), 'world_size': 1}
    before = deepcopy(opt)
    assert FrozenCache.from_options(opt, network(1)) is not None
    assert FrozenCache.from_options({**opt, 'train': {}}, network(1)) is None
    assert opt == before

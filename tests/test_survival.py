"""What remains of a run after kills, damaged files and full disks."""

import errno
import json
import os
import resource
import signal
from pathlib import Path

import pytest
import torch
import yaml

from aibnet_arch.checkpoints.folder import CheckpointFolder
from aibnet_arch.checkpoints.writing import CheckpointWriter
from aibnet_arch.errors import CheckpointError, RunError
from tests.training import assert_equal_weights, log_of, make_dataset, options, run, weights
from tools import kill_trial

NEWEST, BEFORE = 9, 8


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A folder with data and the checkpoints of a run that has finished."""
    root = tmp_path_factory.mktemp('finished')
    make_dataset(root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(options(ema_decay=0.5), root=root, monkeypatch=monkeypatch) == 0
    return root


@pytest.fixture
def root(finished, tmp_path):
    """A copy of it that a test may damage; what was saved at the end is gone, as after a kill."""
    (tmp_path / 'data').symlink_to(finished / 'data')
    for path in (finished / 'experiments').rglob('*'):
        if path.is_file() and 'latest' not in path.name:
            target = tmp_path / path.relative_to(finished)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return tmp_path


def folder_of(root):
    run_folder = root / 'experiments/run'
    return CheckpointFolder(models=run_folder / 'models', states=run_folder / 'training_states')


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


DAMAGES = {
    'truncated': truncate,
    'empty': lambda path: path.write_bytes(b''),
    'bit flipped': flip_a_bit,
    'missing': lambda path: path.unlink(),
}


@pytest.mark.parametrize('recorded', [True, False], ids=['with record', 'without record'])
@pytest.mark.parametrize('file', ['models/net_g_9.pth', 'training_states/9.state'])
@pytest.mark.parametrize('damage', DAMAGES)
def test_the_newest_whole_checkpoint_is_taken(damage, file, recorded, root):
    """BasicSR by itself writes no record: then the checksums inside the files serve."""
    if not recorded:
        for path in root.glob('experiments/run/training_states/*.json'):
            path.unlink()
    DAMAGES[damage](root / 'experiments/run' / file)
    state, skipped = folder_of(root).newest_whole()
    assert state['iter'] == BEFORE
    if (damage, file) == ('missing', 'training_states/9.state'):
        assert not skipped  # a checkpoint is there as soon as its state is
    else:
        assert len(skipped) == 1
        assert file.split('/')[1] in skipped[0].replace('net_*', 'net_g')


def test_a_damaged_record_is_told(root):
    DAMAGES['bit flipped'](root / 'experiments/run/training_states/9.json')
    (root / 'experiments/run/training_states/8.json').write_text('[1]')
    state, skipped = folder_of(root).newest_whole()
    assert state['iter'] == 7
    assert len(skipped) == 2


def test_every_bit_of_a_record_counts(root):
    """What a flipped bit makes of it may still be JSON: another best value, another iteration."""
    path = root / 'experiments/run/training_states/9.json'
    text = path.read_bytes()
    for place in range(0, len(text), 7):
        path.write_bytes(text[:place] + bytes([text[place] ^ 1]) + text[place + 1 :])
        with pytest.raises(CheckpointError, match=r'9\.json is damaged'):
            folder_of(root).record(9)


def test_the_record_of_another_iteration_is_none(root):
    states = root / 'experiments/run/training_states'
    (states / '9.json').write_bytes((states / '8.json').read_bytes())
    state, skipped = folder_of(root).newest_whole()
    assert state['iter'] == BEFORE
    assert skipped == ['iteration 9: 9.json is the record of iteration 8']


def test_a_file_that_the_disk_does_not_give_back_is_skipped(root, monkeypatch):
    opened = Path.open

    def failing(self, *args, **kwargs):
        if self.name == 'net_g_9.pth':
            raise OSError(errno.EIO, 'Input/output error', str(self))
        return opened(self, *args, **kwargs)

    monkeypatch.setattr(Path, 'open', failing)
    state, skipped = folder_of(root).newest_whole()
    assert state['iter'] == BEFORE
    assert 'net_g_9.pth cannot be read: Input/output error' in skipped[0]


def test_resuming_says_what_it_skipped_and_ends_with_the_same_weights(finished, root, monkeypatch, capsys):
    for file in ('models/net_g_9.pth', 'training_states/8.state', 'training_states/7.state'):
        flip_a_bit(root / 'experiments/run' / file)
    assert run(options(ema_decay=0.5), root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    for told in (capsys.readouterr().err, log_of(root)):
        assert 'takes iteration 6' in told
        assert all(f'iteration {n}: ' in told for n in (7, 8, 9))
    for key in ('params', 'params_ema'):
        assert_equal_weights(weights(finished, 'latest', key), weights(root, 'latest', key))


def test_it_never_starts_over_when_no_checkpoint_is_whole(root, monkeypatch, capsys):
    for path in root.glob('experiments/run/*/*.state'):
        truncate(path)
    before = sorted(root.rglob('*'))
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 2
    message = capsys.readouterr().err
    assert 'none is whole' in message
    assert all(f'iteration {n}: ' in message for n in range(1, 10))
    assert sorted(root.rglob('*')) == sorted([*before, root / 'opt.yml'])


def test_it_never_starts_over_when_the_states_are_gone(root, monkeypatch, capsys):
    for path in root.glob('experiments/run/training_states/*'):
        path.unlink()
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 2
    assert 'networks without training states: net_g_1.pth' in capsys.readouterr().err


def test_it_never_starts_over_when_the_states_of_the_only_checkpoint_are_gone(root, monkeypatch, capsys):
    """With keep_checkpoints: 1 there are networks of one iteration, but it is not the first."""
    for path in root.glob('experiments/run/*/*'):
        if path.is_file() and path.name != 'net_g_9.pth':
            path.unlink()
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 2
    assert 'networks without training states: net_g_9.pth' in capsys.readouterr().err


def test_a_kill_in_the_first_checkpoint_starts_anew_and_says_so(root, monkeypatch, capsys):
    for path in root.glob('experiments/run/*/*'):
        if path.is_file() and path.name != 'net_g_1.pth':
            path.unlink()
    opt = options(stage_iter=[1, 1], total_iter=2)
    assert run(opt, root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    assert 'ended in saving its first checkpoint' in capsys.readouterr().err
    assert list(root.glob('experiments/run_archived_*/models/net_g_1.pth'))


def test_auto_resume_looks_where_the_options_put_the_experiment(finished, tmp_path, monkeypatch, capsys):
    (tmp_path / 'data').symlink_to(finished / 'data')
    opt = options(stage_iter=[1, 1], total_iter=2)
    opt['path']['experiments_root'] = str(tmp_path / 'elsewhere')
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    opt['train'].update(stage_iter=[1, 2], total_iter=3)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    assert len(list(tmp_path.glob('elsewhere/*'))) == 1
    assert (tmp_path / 'elsewhere/run/models/net_g_3.pth').is_file()


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('models/net_g_9.pth', 'set path.pretrain_network_g'),
        ('training_states/9.json', 'is no training state'),
    ],
)
def test_what_is_no_training_state_is_refused(name, message, root, monkeypatch, capsys):
    opt = options()
    opt['path']['resume_state'] = f'experiments/run/{name}'
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    assert message in capsys.readouterr().err


def test_a_damaged_explicit_state_is_refused(root, monkeypatch, capsys):
    flip_a_bit(root / 'experiments/run/models/net_g_9.pth')
    opt = options()
    opt['path']['resume_state'] = 'experiments/run/training_states/9.state'
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    assert 'net_g_9.pth' in capsys.readouterr().err


@pytest.fixture
def limit_of_file_sizes():
    """A disk that is full beyond so many bytes of a file."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, former[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, former)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_full_disk_stops_the_run_and_leaves_what_was_whole(root, monkeypatch, capsys, limit_of_file_sizes):
    largest = max(path.stat().st_size for path in root.glob('experiments/run/*/*_9.pth'))
    for path in (*root.glob('experiments/run/*/9.*'), *root.glob('experiments/run/*/*_9.pth')):
        path.unlink()
    limit_of_file_sizes(largest - 5000)
    assert run(options(ema_decay=0.5), root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 1
    message = capsys.readouterr().err
    assert 'cannot be written' in message
    assert 'File too large' in message
    assert not list(root.rglob('*.part'))
    assert folder_of(root).newest_whole()[0]['iter'] == BEFORE


@pytest.mark.parametrize('file', ['net_g_9.pth', '9.state', '9.json'])
def test_a_write_that_fails_anywhere_leaves_the_checkpoint_before(file, root, monkeypatch, capsys):
    fsync = os.fsync

    def full(descriptor):
        if os.readlink(f'/proc/self/fd/{descriptor}').endswith(f'.{file}.part'):
            raise OSError(errno.ENOSPC, 'No space left on device')
        fsync(descriptor)

    for path in (*root.glob('experiments/run/*/9.*'), *root.glob('experiments/run/*/*_9.pth')):
        path.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', full)
        assert run(options(ema_decay=0.5), root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 1
    assert f'{file} cannot be written: [Errno 28] No space left on device' in capsys.readouterr().err
    newest = folder_of(root).newest_whole()[0]['iter']
    assert newest == (9 if file == '9.json' else 8)  # without its record a checkpoint is verified by itself


def test_what_is_not_finite_is_not_written(tmp_path):
    writer = CheckpointWriter(CheckpointFolder(models=tmp_path, states=tmp_path))
    state = {'fine': torch.ones(2), 'broken': torch.tensor([1, float('nan')]), 'count': torch.tensor(3)}
    with pytest.raises(RunError, match=r'1 entries of params are not finite, e\.g\. broken'):
        writer.save_network('net_g_1.pth', {'params': state})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(('keep', 'left'), [(1, {2, 9}), (3, {2, 7, 8, 9}), (99, set(range(1, 10)))])
def test_few_checkpoints_are_kept_but_the_best_and_the_newest(root, keep, left):
    folder = folder_of(root)
    gone = CheckpointWriter(folder).prune(keep=keep, others={2})
    assert set(folder.iterations()) == left
    assert set(gone) | left == set(range(1, 10))
    for suffix in ('models/net_g_*.pth', 'training_states/*.json', 'training_states/*.state'):
        assert len(list(root.glob(f'experiments/run/{suffix}'))) == len(left)


def test_keep_checkpoints_is_an_option(finished, tmp_path, monkeypatch):
    (tmp_path / 'data').symlink_to(finished / 'data')
    opt = options()
    opt['logger']['keep_checkpoints'] = 2
    opt['val']['val_freq'] = 1
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    record = json.loads((tmp_path / 'experiments/run/training_states/9.json').read_text())
    best = record['best_metrics']['val']['psnr']['iter']
    left = set(folder_of(tmp_path).iterations())
    assert {best, 8, 9} <= left
    assert 5 in left  # the end of stage 1
    assert len(left - {5}) <= 3  # one more may have been the best until the last validation
    assert record['validated']


def test_a_second_start_is_refused_while_a_run_goes_on(root, monkeypatch, capsys):
    """It would rename the folder of the first, which would go on to write into that of the second."""
    from aibnet_arch.locks import RunLock

    lock = RunLock(root / 'experiments/run')
    here, there = os.pipe()
    process = os.fork()
    if not process:
        lock.take()
        os.write(there, b'.')
        signal.pause()
    os.read(here, 1)
    before = sorted(root.rglob('*'))
    try:
        for flags in ((), ('--auto_resume',)):
            assert run(options(), root=root, monkeypatch=monkeypatch, flags=flags) == 2
            told = f'another run is writing into {root}/experiments/run (process {process} on '
            assert told in capsys.readouterr().err
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
    assert sorted(root.rglob('*')) == sorted([*before, root / 'opt.yml'])
    assert lock.take() is None  # a killed process holds nothing
    lock.release()
    assert not (root / 'experiments/.run.lock').exists()


def test_killed_at_random_moments(tmp_path):
    """A short version of kill_trial.py, which kills 40 times."""
    killed, whole = tmp_path / 'killed', tmp_path / 'whole'
    opt = kill_trial.trial_options(total_iter=16, width=8)
    for root in (killed, whole):
        root.mkdir()
        make_dataset(root)
        (root / 'opt.yml').write_text(yaml.safe_dump(opt))
    outcome = kill_trial.kill_and_resume(killed, count=4, seed=1, longest=0.4)
    assert outcome['resumed'] == 4
    assert outcome['exit'] == 0
    assert kill_trial.wait(kill_trial.start(whole)) == 0
    for key in ('params', 'params_ema'):
        assert_equal_weights(weights(whole, 'latest', key), weights(killed, 'latest', key))

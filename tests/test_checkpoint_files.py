"""A checkpoint's files as the writer leaves them and as they are found again, without a run."""

import errno
from pathlib import Path

import pytest
import torch

from aibnet_arch.checkpoints.choice import best_weights, newest_weights
from aibnet_arch.checkpoints.folder import CheckpointFolder, sealed
from aibnet_arch.checkpoints.writing import CheckpointWriter, best_iterations
from aibnet_arch.errors import CheckpointError, RunError, UserError
from aibnet_arch.files import sha256_of


@pytest.fixture
def folder(tmp_path):
    for name in ('models', 'states'):
        (tmp_path / name).mkdir()
    return CheckpointFolder(models=tmp_path / 'models', states=tmp_path / 'states')


def best_of(iteration, value=30.5):
    return {'val': {'psnr': {'better': 'higher', 'val': value, 'iter': iteration}}}


def write(folder, iteration, *, best=None):
    writer = CheckpointWriter(folder)
    writer.save_network(f'net_g_{iteration}.pth', {'params': {'w': torch.full((2,), iteration)}, 'iter': iteration})
    writer.save_state(iteration, {'iter': iteration}, best_metrics=best)
    return writer


def names(folder):
    return sorted(path.name for where in (folder.models, folder.states) for path in where.iterdir())


def test_a_record_holds_the_checksums_of_its_iteration_alone(folder):
    writer = CheckpointWriter(folder)
    for name in ('net_g_latest.pth', 'net_d_9.pth', 'net_g_9.pth'):
        writer.save_network(name, {'params': {'w': torch.ones(2), 'count': torch.tensor(3), 'of_a_module': {'a': 1}}})
    writer.save_state(9, {'iter': 9, 'more': [1]}, best_metrics=best_of(3))
    paths = [folder.models / 'net_d_9.pth', folder.models / 'net_g_9.pth', folder.states / '9.state']
    expected = {'iteration': 9, 'sha256': {path.name: sha256_of(path) for path in paths}, 'best_metrics': best_of(3)}
    assert folder.record(9) == {**expected, 'validated': False}
    writer.note_validation(9, best_of(9))
    assert folder.record(9) == {**expected, 'best_metrics': best_of(9), 'validated': True}
    assert folder.networks(9) == paths[:2]
    assert folder.read(9) == {'iter': 9, 'more': [1]}
    writer.save_state(19, {'iter': 19})
    assert list(folder.record(19)['sha256']) == ['19.state']


def test_a_validation_without_a_checkpoint_is_noted_nowhere(folder):
    CheckpointWriter(folder).note_validation(9, best_of(9))
    assert names(folder) == []


def test_half_written_files_go_with_the_next_whole_checkpoint_and_no_others(folder):
    for path in (folder.models / 'net_g_8.pth.part', folder.states / '8.state.part', folder.models / 'notes.txt'):
        path.write_bytes(b'')
    write(folder, 9)
    assert names(folder) == ['9.json', '9.state', 'net_g_9.pth', 'notes.txt']


def test_what_cannot_be_written_says_that_older_ones_are_whole(folder):
    (folder.models / 'net_g_9.pth').mkdir()
    with pytest.raises(RunError, match=r'net_g_9\.pth cannot be written.*Checkpoints written before are whole'):
        write(folder, 9)


@pytest.mark.parametrize('value', [torch.tensor([1, float('inf')]), torch.tensor(float('nan'))])
def test_numbers_that_are_not_finite_are_refused_wherever_they_are(folder, value):
    content = {'params': {'w': torch.ones(2), 'count': torch.tensor(3)}, 'params_ema': {'w': value}, 'iter': 9}
    with pytest.raises(RunError, match=r'1 entries of params_ema are not finite, e\.g\. w'):
        CheckpointWriter(folder).save_network('net_g_9.pth', content)
    assert names(folder) == []


@pytest.mark.parametrize(('keep', 'left'), [(0, [9, 2]), (1, [9, 2]), (2, [9, 7, 2]), (5, [9, 7, 5, 2])])
def test_the_newest_and_the_others_are_kept(folder, keep, left):
    for iteration in (2, 5, 9, 7):
        writer = write(folder, iteration)
    folder.record_path(5).unlink()
    assert writer.prune(keep=keep, others={2}) == [each for each in (7, 5) if each not in left]
    assert folder.iterations() == left
    assert [path.stem for path in sorted(folder.models.iterdir())] == [f'net_g_{each}' for each in sorted(left)]
    assert len(list(folder.states.glob('*.json'))) == len([each for each in left if each != 5])


def test_the_best_iterations_are_those_of_all_metrics():
    assert best_iterations(None) == set()
    metrics = {'a': {'psnr': {'iter': 3}, 'ssim': {'iter': 5}}, 'b': {'psnr': {'iter': 3}}, 'c': {}}
    assert best_iterations(metrics) == {3, 5}


def test_the_options_name_the_folder(tmp_path):
    folder = CheckpointFolder.of({'path': {'models': str(tmp_path / 'm'), 'training_states': str(tmp_path / 's')}})
    assert (folder.models, folder.states) == (tmp_path / 'm', tmp_path / 's')
    assert folder.iterations() == []
    assert folder.record(9) == {}


def test_the_newest_whole_one_is_found_and_each_newer_one_is_told(folder):
    assert folder.newest_whole() == (None, [])
    for iteration in range(1, 7):
        write(folder, iteration)
    (folder.states / 'note.state').write_text('no number')
    (folder.models / 'net_g_6.pth').unlink()
    (folder.models / 'net_g_5.pth').write_bytes(b'other')
    folder.record_path(4).write_text('[1]')
    folder.record_path(3).write_bytes(folder.record_path(2).read_bytes())
    state, skipped = folder.newest_whole()
    assert state == {'iter': 2}
    for line, told in zip(
        skipped,
        (
            r'6: net_g_6.pth is missing',
            '5: net_g_5.pth (5 bytes) differs from what was saved: damaged',
            '4: 4.json is damaged: its checksum does not agree',
            '3: 3.json is the record of iteration 2',
        ),
    ):
        assert line == f'iteration {told}'
    assert len(skipped) == 4
    folder.record_path(4).write_text('{')
    with pytest.raises(CheckpointError, match=r'4\.json is damaged \('):
        folder.record(4)


@pytest.mark.parametrize('state', [[9], {'iter': 8}, {}])
def test_what_is_no_state_of_its_iteration_is_refused(folder, state):
    write(folder, 9)
    torch.save(state, folder.state_path(9))
    folder.record_path(9).unlink()
    with pytest.raises(CheckpointError, match=r'9\.state is no training state of iteration 9'):
        folder.read(9)


def test_what_is_no_archive_is_damaged_where_there_is_no_record(folder):
    write(folder, 9)
    folder.record_path(9).unlink()
    folder.state_path(9).write_bytes(b'other')
    with pytest.raises(CheckpointError, match=r'9\.state \(5 bytes\) is damaged'):
        folder.read(9)


def test_a_file_that_the_disk_does_not_give_back_is_named(folder, monkeypatch):
    write(folder, 9)

    opened = Path.open

    def failing(self, *args, **kwargs):
        if self.suffix == '.json':
            return opened(self, *args, **kwargs)
        raise OSError(errno.EIO, 'Input/output error', str(self))

    monkeypatch.setattr(Path, 'open', failing)
    with pytest.raises(CheckpointError, match=r'net_g_9\.pth cannot be read: Input/output error'):
        folder.read(9)


def latest_of(folder, content):
    path = folder.models / 'net_g_latest.pth'
    torch.save({'params': {'w': torch.ones(2)}, **content}, path)
    return path


@pytest.mark.parametrize(('content', 'is_newest'), [({'iter': 9}, True), ({'iter': 8}, False), ({}, True)])
def test_the_latest_is_the_newest_unless_it_says_otherwise(folder, content, is_newest):
    latest = latest_of(folder, content)
    assert newest_weights(folder) == (latest, [])
    for iteration in (10, 9):
        write(folder, iteration)
    (folder.models / 'net_g_10.pth').unlink()
    (folder.models / 'net_g_of_mine.pth').write_bytes(b'')
    assert newest_weights(folder) == (latest if is_newest else folder.models / 'net_g_9.pth', [])


def test_damaged_weights_are_passed_over_and_told(folder):
    with pytest.raises(UserError, match=r'there are no weights in [^:]*models\. Has the run'):
        newest_weights(folder)
    for iteration in (3, 9, 10):
        write(folder, iteration)
    latest_of(folder, {}).write_bytes(b'other')
    (folder.models / 'net_g_10.pth').write_bytes(b'other')
    (folder.models / 'net_g_9.pth').write_bytes(b'other')
    folder.record_path(9).unlink()
    chosen, skipped = newest_weights(folder)
    assert chosen == folder.models / 'net_g_3.pth'
    assert len(skipped) == 3
    assert 'net_g_latest.pth' in skipped[0]
    assert skipped[1] == 'net_g_10.pth (5 bytes) differs from what was saved: damaged'
    assert 'net_g_9.pth' in skipped[2]
    (folder.models / 'net_g_3.pth').unlink()
    with pytest.raises(UserError, match=r'there are no weights in .*models: .*net_g_latest.*; net_g_10.*; .*net_g_9'):
        newest_weights(folder)


def test_the_best_weights_are_those_that_the_newest_record_with_a_value_names(folder):
    write(folder, 1, best=best_of(1, 20.0))
    write(folder, 5, best=best_of(1, 31.25))
    write(folder, 9, best={'val': {'psnr': {'better': 'higher', 'val': float('-inf'), 'iter': 0}}})
    path = folder.models / 'net_g_1.pth'
    assert best_weights(folder, dataset='val', metric='psnr') == (path, 31.25)
    for dataset, metric in (('val', 'ssim'), ('test', 'psnr')):
        with pytest.raises(UserError, match=f'no validation of {metric} on {dataset} is noted'):
            best_weights(folder, dataset=dataset, metric=metric)
    path.write_bytes(b'other')
    with pytest.raises(CheckpointError, match=r'net_g_1\.pth \(5 bytes\) differs'):
        best_weights(folder, dataset='val', metric='psnr')
    path.unlink()
    with pytest.raises(UserError, match='was best at iteration 1, of which there is no checkpoint'):
        best_weights(folder, dataset='val', metric='psnr')


def test_a_record_without_best_metrics_serves_too(folder):
    folder.record_path(9).write_bytes(sealed({'iteration': 9, 'sha256': {}}))
    assert folder.record(9) == {'iteration': 9, 'sha256': {}}

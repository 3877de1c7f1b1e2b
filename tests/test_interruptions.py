"""Closed terminals, clusters' warnings, signals to starting workers, launchers that end, two commands at once."""

import multiprocessing
import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset
from torch.utils.data._utils import signal_handling

from aibnet_arch.data.prefetch import PrefetchingLoader, SteadyLoader
from aibnet_arch.evaluation.picture_names import picture_names
from aibnet_arch.locks import RunLock
from aibnet_arch.photos.video import read_video_shape, restore_video
from aibnet_arch.signals import STOP, STOP_NOW, StopRequest
from aibnet_arch.streams import outlived
from datasets_prep import known_blur
from datasets_prep.demo import draw_shots
from tests.training import METRICS, assert_equal_weights, dataset_options, log_of, make_dataset, options, run, weights
from tests.training import model_class as _model_class

AIBNetModel = _model_class()


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    make_dataset(root)
    return root / 'data'


@pytest.fixture
def root(tmp_path, data):
    (tmp_path / 'data').symlink_to(data)
    return tmp_path


def short_options(**logger):
    opt = options(stage_iter=[2, 2], total_iter=4)
    opt['network_g']['blocks_per_level'] = 1
    opt['val']['val_freq'] = 2
    opt['logger'].update({'save_checkpoint_freq': 100, **logger})
    return opt


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory, data):
    root = tmp_path_factory.mktemp('undisturbed')
    (root / 'data').symlink_to(data)
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert run(short_options(), root=root, monkeypatch=monkeypatch) == 0
    return root


def signal_in_iteration(monkeypatch, name, number=1):
    original, calls = AIBNetModel.optimize_parameters, []

    def optimize_parameters(self, current_iter):
        original(self, current_iter)
        calls.append(current_iter)
        if len(calls) == number:
            os.kill(os.getpid(), getattr(signal, name))

    monkeypatch.setattr(AIBNetModel, 'optimize_parameters', optimize_parameters)


@pytest.mark.parametrize('name', ['SIGHUP', 'SIGQUIT', 'SIGUSR1'])
def test_a_closed_terminal_and_a_clusters_warning_stop_and_save(name, root, monkeypatch, capsys):
    former = signal.signal(getattr(signal, name), signal.SIG_DFL)
    exit_file = root / 'exit_code'
    monkeypatch.setenv('AIBNET_EXIT_FILE', str(exit_file))
    try:
        signal_in_iteration(monkeypatch, name)
        assert run(short_options(), root=root, monkeypatch=monkeypatch) == 75
    finally:
        signal.signal(getattr(signal, name), former)
    assert f'stopped by {name}; iteration 1 is saved' in capsys.readouterr().err
    assert (root / 'experiments/run/training_states/1.state').is_file()
    assert exit_file.read_text() == '75\n'


def test_usr1_can_save_and_go_on(root, undisturbed, monkeypatch):
    signal_in_iteration(monkeypatch, 'SIGUSR1')
    assert run(short_options(on_usr1='save'), root=root, monkeypatch=monkeypatch) == 0
    assert [path.name for path in sorted(root.glob('experiments/run/training_states/*.state'))] == ['1.state']
    assert log_of(root).count('SIGUSR1: iteration 1 is saved') == 1
    assert_equal_weights(weights(undisturbed, 'latest'), weights(root, 'latest'))


def test_nohup_is_respected(root, undisturbed, monkeypatch):
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        signal_in_iteration(monkeypatch, 'SIGHUP')
        assert run(short_options(), root=root, monkeypatch=monkeypatch) == 0
    finally:
        signal.signal(signal.SIGHUP, former)
    assert_equal_weights(weights(undisturbed, 'latest'), weights(root, 'latest'))


@pytest.mark.parametrize(('cls', 'extra'), [(SteadyLoader, {}), (PrefetchingLoader, {'ahead': 1})])
def test_a_signal_to_a_worker_that_has_just_started_does_not_end_it(cls, extra, monkeypatch):
    """In the moment in which torch has set its own handlers and the worker_init_fn is not yet called."""
    original = signal_handling._set_worker_signal_handlers

    def set_and_signal():
        original()
        for name in ('SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGUSR1'):
            os.kill(os.getpid(), getattr(signal, name))

    monkeypatch.setattr(signal_handling, '_set_worker_signal_handlers', set_and_signal)
    loader = cls(TensorDataset(torch.arange(4)), num_workers=2, multiprocessing_context='fork', **extra)
    assert [batch.item() for (batch,) in loader] == [0, 1, 2, 3]
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_workers_that_are_left_after_an_error_are_ended():
    assert ended(one_worker()) == []


def test_they_are_ended_where_no_signal_tells_of_children(monkeypatch):
    """As on Windows."""
    left, number = one_worker(), signal.SIGCHLD
    former = signal.signal(number, signal.SIG_DFL)
    monkeypatch.delattr(signal, 'SIGCHLD')
    try:
        assert ended(left) == []
    finally:
        signal.signal(number, former)


def one_worker():
    return iter(SteadyLoader(TensorDataset(torch.arange(4)), num_workers=1, multiprocessing_context='fork'))


def ended(left):
    """The processes that are left; the iterator `left` must not end its worker itself."""
    from aibnet_arch.basicsr_patches.train_pipeline import _end_workers

    assert len(multiprocessing.active_children()) == 1
    try:
        _end_workers()
        return multiprocessing.active_children()
    finally:
        for child in multiprocessing.active_children():  # or the tests would wait for it at their end
            child.kill()


def test_the_end_of_the_launcher_is_a_request_to_stop(monkeypatch):
    stop = StopRequest()
    stop.follow_launcher()
    assert stop.name is None
    monkeypatch.setattr(os, 'getppid', lambda: 1)
    assert (stop.name, stop.wish) == ('the end of its launcher', STOP_NOW)
    stop.close()
    assert stop.name is None
    assert STOP.name is None


# Terminals


@pytest.fixture
def lost_pipe():
    """A text stream whose reader is gone."""
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, 'w', buffering=1) as stream:
        yield stream


def test_a_run_outlives_its_terminal(root, undisturbed, lost_pipe, monkeypatch):
    opt = short_options()
    opt['val']['pbar'] = True
    with monkeypatch.context() as patch:
        patch.setattr(sys, 'stderr', lost_pipe)
        patch.setattr(sys, 'stdout', lost_pipe)
        assert run(opt, root=root, monkeypatch=monkeypatch) == 0
    assert_equal_weights(weights(undisturbed, 'latest'), weights(root, 'latest'))


@pytest.mark.parametrize('kind', ['full', 'closed', 'none'])
def test_streams_that_fail_drop_what_is_written(kind, tmp_path, monkeypatch):
    with open('/dev/full' if kind == 'full' else tmp_path / 'file', 'w') as stream:
        if kind == 'closed':
            stream.close()
        monkeypatch.setattr(sys, 'stdout', None if kind == 'none' else stream)
        with outlived():
            print('lost', flush=True)
            print('lost, too', flush=True)


def test_what_the_encoding_lacks_becomes_an_escape(tmp_path, monkeypatch):
    with open(tmp_path / 'file', 'w', encoding='ascii') as stream:
        monkeypatch.setattr(sys, 'stdout', stream)
        with outlived():
            print('\u00e9\udcff')
    assert (tmp_path / 'file').read_text() == '\\xe9\\udcff\n'


# Exit codes in a file, for job scripts


def test_the_exit_file_tells_a_refusal_and_an_end(root, monkeypatch, capsys):
    exit_file = root / 'exit_code'
    monkeypatch.setenv('AIBNET_EXIT_FILE', str(exit_file))
    opt = short_options()
    del opt['name']
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    assert exit_file.read_text() == '2\n'
    with pytest.raises(SystemExit):
        run(opt, root=root, monkeypatch=monkeypatch, flags=('--no_such_flag',))
    assert exit_file.read_text() == '2\n'
    monkeypatch.setenv('RANK', '1')
    exit_file.unlink()
    run(opt, root=root, monkeypatch=monkeypatch)
    assert not exit_file.exists()
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setenv('AIBNET_EXIT_FILE', str(root / 'no_folder/exit_code'))
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    assert 'AIBNET_EXIT_FILE: there is no folder' in capsys.readouterr().err


def test_a_traceback_is_one_in_the_exit_file(root, monkeypatch):
    monkeypatch.setenv('AIBNET_EXIT_FILE', str(root / 'exit_code'))
    monkeypatch.setattr('aibnet_arch.basicsr_patches.train_pipeline.train', lambda _: 1 / 0)
    monkeypatch.setattr('aibnet_arch.commands.train.train', lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(short_options(), root=root, monkeypatch=monkeypatch)
    assert (root / 'exit_code').read_text() == '1\n'


# Two commands at once, and pictures of one name


def options_of_test(undisturbed):
    test = {key: value for key, value in short_options().items() if key not in ('train', 'logger')}
    test['name'] = 'test_run'
    test['datasets'] = {'test': {**dataset_options('val'), 'name': 'val'}}
    test['path'] = {'pretrain_network_g': str(undisturbed / 'experiments/run/models/net_g_latest.pth')}
    test['val'] = {'save_img': True, 'metrics': METRICS}
    return test


def test_a_second_test_into_one_folder_is_refused(root, undisturbed, monkeypatch, capsys):
    lock = RunLock(root / 'results/test_run')
    lock.take()
    before = sorted(root.rglob('*'))
    assert run(options_of_test(undisturbed), root=root, monkeypatch=monkeypatch, command='test') == 2
    assert 'another run is writing into' in capsys.readouterr().err
    assert sorted(root.rglob('*')) == sorted([*before, root / 'opt.yml'])
    lock.release()


@pytest.mark.parametrize('command', ['test', 'train'])
def test_several_runs_of_one_name_within_a_second_are_all_kept(command, root, undisturbed, monkeypatch):
    """BasicSR calls their archives by the second, and os.rename takes the place of no folder that has files."""
    from basicsr.utils import misc

    from aibnet_arch.basicsr_patches import archiving

    folder, opt = root / 'results/test_run', options_of_test(undisturbed)
    if command == 'train':
        folder, opt = root / 'experiments/run', short_options(use_tb_logger=True)
        opt['train'].update(total_iter=2, stage_iter=[1, 1])
    waits = []  # time stands still but for them
    monkeypatch.setattr(archiving, 'time', SimpleNamespace(sleep=waits.append))
    for module in (archiving, misc):
        monkeypatch.setattr(module, 'get_time_str', lambda: f'second_{len(waits)}')
    for number in range(3):
        assert run(opt, root=root, monkeypatch=monkeypatch, command=command) == 0
        assert len(list(folder.parent.glob(f'{folder.name}_archived_*'))) == number
    assert len(waits) == 1


def test_pictures_of_one_name_are_all_restored(root, undisturbed, monkeypatch):
    import lmdb

    opt = options_of_test(undisturbed)
    for side in ('lq', 'gt'):
        folder = root / f'{side}.lmdb'
        folder.mkdir()
        with lmdb.open(str(folder)) as env, env.begin(write=True) as transaction:
            for number, key in enumerate(('a/x', 'b/x', 'y')):
                picture = np.full((16, 16, 3), 40 * number, np.uint8)
                transaction.put(key.encode(), cv2.imencode('.png', picture)[1].tobytes())
        (folder / 'meta_info.txt').write_text(''.join(f'{key}.png (16,16,3) 1\n' for key in ('a/x', 'b/x', 'y')))
        opt['datasets']['test'][f'dataroot_{side}'] = str(folder)
    assert run(opt, root=root, monkeypatch=monkeypatch, command='test') == 0
    written = root / 'results/test_run/visualization/val'
    names = ['a-x_test_run.png', 'b-x_test_run.png', 'y_test_run.png']
    assert sorted(path.name for path in written.iterdir()) == names
    assert cv2.imread(str(written / names[0])).mean() < cv2.imread(str(written / names[1])).mean()
    assert not (root / 'results/.test_run.lock').exists()


def test_names_of_pictures():
    class Dataset:
        paths = ('/d/a/x.png', '/d/b/x.png', '/d/b/y.png', '/d/a-x.png')

    names = picture_names(Dataset())
    assert names['/d/b/y.png'] == 'y'
    assert len(set(names.values())) == 4
    Dataset.paths = [{'lq_path': key} for key in ('x.y', 'x.z')]
    assert picture_names(Dataset()) == {'x.y': 'x.y', 'x.z': 'x.z'}
    Dataset.paths = ('a/x', 'b/x', 'a-x')
    assert picture_names(Dataset()) == {'a/x': 'a-x-2', 'b/x': 'b-x', 'a-x': 'a-x'}


# Preparation and videos


def test_known_blur_that_is_killed_leaves_nothing_finished(tmp_path, monkeypatch):
    shots = draw_shots(('coffee.png',), shots=1, steady_every=1, rng=np.random.default_rng(0))
    monkeypatch.setattr(known_blur, 'demo_shots', lambda: (shots, shots))
    monkeypatch.setattr(known_blur, 'draw_shots', lambda *_, **__: shots)
    output, write_picture, written = tmp_path / 'known', known_blur.write_picture, []

    def killed(path, pixels):
        if len(written) == 4:
            raise KeyboardInterrupt
        written.append(path)
        write_picture(path, pixels)

    with monkeypatch.context() as patch:
        patch.setattr(known_blur, 'write_picture', killed)
        with pytest.raises(KeyboardInterrupt):
            known_blur.make(output)
    assert not output.exists()
    (tmp_path / 'known.partial/mine').mkdir()
    with pytest.raises(known_blur.PrepError, match='was not made by this program'):
        known_blur.make(output)
    (tmp_path / 'known.partial/mine').rmdir()
    known_blur.make(output)
    assert len(list(output.rglob('*.png'))) == 6
    assert [path.name for path in tmp_path.iterdir()] == ['known']


@pytest.mark.parametrize('name', [b'\xff\xfe.mp4', 'v\u00efd\u00e9o.mp4'.encode()])
def test_videos_of_any_name(name, tmp_path):
    folder = Path(os.fsdecode(os.path.join(os.fsencode(tmp_path), b'f\xff')))
    folder.mkdir()
    plain = tmp_path / 'plain.mp4'
    writer = cv2.VideoWriter(str(plain), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*'mp4v'), 10, (32, 16))
    for value in (40, 80, 120):
        writer.write(np.full((16, 32, 3), value, np.uint8))
    writer.release()
    source = folder / os.fsdecode(name)
    plain.rename(source)
    shape = read_video_shape(source)
    assert (shape.height, shape.width, shape.frames) == (16, 32, 3)
    assert restore_video(source, folder / 'restored.mp4', shape, lambda frame: frame) == (3, [])
    source.write_bytes(b'')
    with pytest.raises(Exception, match='it is empty'):
        read_video_shape(source)


# States that somebody has crafted


@pytest.mark.parametrize(
    ('change', 'told'),
    [
        (
            lambda state: state['optimizers'][0]['param_groups'][0].update(lr='x'),
            "optimizer's lr is missing or damaged",
        ),
        (lambda state: state['optimizers'][0]['param_groups'][0]['params'].pop(), 'trains other parameters'),
        (lambda state: state['optimizers'][0]['state'].update({10**6: {}}), 'knows of parameters that are not there'),
        (lambda state: state['schedulers'][0].update(last_epoch=[]), "schedule's last_epoch is damaged"),
        (lambda state: state.update(schedulers=[]), 'no list of 1 schedulers'),
        (lambda state: state['extra'].update(random_states=[{}]), 'extra.random_states is damaged'),
        (lambda state: state['extra'].update(skipped='ab'), 'extra.skipped is damaged'),
        (lambda state: state['extra']['options'].update({'train.optim_g.type': "'SGD'"}), "checkpoint is of 'SGD'"),
    ],
)
def test_crafted_states_are_refused(change, told, root, crafted, monkeypatch, capsys):
    folder = root / 'experiments/run'
    for path in crafted.glob('experiments/run/*/*'):
        target = folder / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    state = torch.load(folder / 'training_states/2.state', weights_only=True)
    change(state)
    torch.save(state, folder / 'training_states/2.state')
    (folder / 'training_states/2.json').unlink()
    assert run(short_options(), root=root, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 2
    assert told in capsys.readouterr().err


@pytest.fixture(scope='module')
def crafted(tmp_path_factory, data):
    """A run that was stopped after its second iteration."""
    root = tmp_path_factory.mktemp('crafted')
    (root / 'data').symlink_to(data)
    with pytest.MonkeyPatch.context() as monkeypatch:
        signal_in_iteration(monkeypatch, 'SIGTERM', number=2)
        assert run(short_options(), root=root, monkeypatch=monkeypatch) == 75
    return root

"""`basicsr study` as a whole: a pretrained encoder, a kill, a second start; and the order of the runs."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

from aibnet_arch.commands.main import main
from aibnet_arch.errors import StoppedError
from aibnet_arch.locks import Lock, is_held
from aibnet_arch.study import running
from aibnet_arch.study.plan import Run
from aibnet_arch.study.results import Result, read_result
from aibnet_arch.study.running import Places, Runner
from aibnet_arch.training.history import History
from tests.training import make_dataset, options, weights

REPOSITORY = Path(__file__).parent.parent
ITERATIONS = 100
PLUGIN = """
from basicsr.utils.registry import ARCH_REGISTRY
from spandrel.architectures.NAFNet.__arch.NAFNet_arch import NAFNet

if 'NAFNet' not in ARCH_REGISTRY:
    ARCH_REGISTRY.register(NAFNet)
"""
BLOCKS = {'middle_blk_num': 1, 'enc_blk_nums': [1, 1, 1, 1], 'dec_blk_nums': [1, 1, 1, 1]}


def write_inputs(root: Path) -> None:
    """Data, a plugin that registers NAFNet, and a plan: NAFNet, and an AIBNet that stands on it frozen."""
    make_dataset(root)
    plugin = root / 'plugin'
    (plugin / 'naf-1.dist-info').mkdir(parents=True)
    (plugin / 'naf-1.dist-info/METADATA').write_text('Metadata-Version: 2.1\nName: naf\nVersion: 1\n')
    (plugin / 'naf-1.dist-info/entry_points.txt').write_text('[basicsr.plugins]\nnaf = study_test_naf\n')
    (plugin / 'study_test_naf.py').write_text(PLUGIN)
    nafnet, pretrained = options(total_iter=4), options(stage_iter=[ITERATIONS - 4, 4], total_iter=ITERATIONS)
    del nafnet['train']['stage_iter']
    nafnet.update(name='NAFNet', model_type='SRModel', network_g={'type': 'NAFNet', 'width': 8, **BLOCKS})
    nafnet['train'].update(pixel_opt={'type': 'L1Loss', 'loss_weight': 1.0, 'reduction': 'mean'})
    nafnet['train']['scheduler']['periods'] = [4]
    nafnet['val']['val_freq'] = 2
    pretrained['name'] = 'pretrained'
    pretrained['network_g']['freeze_encoder'] = True
    pretrained['val']['val_freq'] = 40
    pretrained['logger']['save_checkpoint_freq'] = 5
    for opt in (nafnet, pretrained):
        (root / f'{opt["name"]}.yml').write_text(yaml.safe_dump(opt))
    plan = {
        'base': 'pretrained',
        'runs': [
            {'option_file': 'pretrained.yml', 'weights': {'pretrain_network_encoder': 'NAFNet'}},
            {'option_file': 'NAFNet.yml', 'seeds': [5]},
        ],
    }
    (root / 'plan.yml').write_text(yaml.safe_dump(plan))


def wait_for(condition, *, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture(scope='module')
def killed(tmp_path_factory):
    """A study that was killed in its second run and started again; `times` are those of its result before."""
    root = tmp_path_factory.mktemp('study')
    write_inputs(root)
    command = ['study', 'plan.yml', '-o', 'out', '--seeds', '1']
    with pytest.MonkeyPatch.context() as monkeypatch:
        path = os.pathsep.join([str(REPOSITORY), str(root / 'plugin')])
        monkeypatch.setenv('PYTHONPATH', path)
        monkeypatch.syspath_prepend(str(root / 'plugin'))
        monkeypatch.chdir(root)
        second = root / 'out/runs/pretrained-s1'
        with open('study.txt', 'w') as output:
            process = subprocess.Popen([sys.executable, '-m', 'aibnet_arch', *command], stdout=output, stderr=output)
        states = root / 'out/experiments/pretrained-s1/training_states'
        wait_for(lambda: process.poll() is not None or list(states.glob('*.json')))
        assert process.poll() is None, Path('study.txt').read_text()
        process.send_signal(signal.SIGKILL)
        process.wait()
        stamp = (root / 'out/runs/NAFNet-s5/result.json').stat().st_mtime_ns
        code = main(command)
    yield {'root': root, 'out': root / 'out', 'second': second, 'stamp': stamp, 'code': code}
    from basicsr.utils.registry import ARCH_REGISTRY

    ARCH_REGISTRY._obj_map.pop('NAFNet', None)


def starts(folder: Path) -> list[int]:
    """The iterations from which the trainings of a run have started."""
    output = (folder / 'output.txt').read_text()
    return [int(n) for n in re.findall(r'Start training from epoch: \d+, iter: (\d+)', output)]


def test_a_killed_study_repeats_no_finished_run_and_goes_on_with_the_other(killed):
    assert killed['code'] == 0
    finished = killed['out'] / 'runs/NAFNet-s5'
    assert starts(finished) == [0]
    assert (finished / 'result.json').stat().st_mtime_ns == killed['stamp']
    begun = starts(killed['second'])
    assert len(begun) == 2
    assert 0 < begun[1] < ITERATIONS
    # The orphan had noticed, saved and stopped.
    assert 'stopped by SIGTERM' in (killed['second'] / 'output.txt').read_text()
    history = History(killed['out'] / 'experiments/pretrained-s1').rows()
    assert [row['iteration'] for row in history] == [40, 80, 100]
    assert list(read_result(killed['second']).history) == history


def test_it_ends_with_tables_and_plots(killed):
    out = killed['out']
    assert '| pretrained | 1 | 100 |' in (out / 'table.md').read_text()
    assert len((out / 'table.csv').read_text().splitlines()) == 3
    assert (out / 'equal_time.csv').is_file()
    assert {path.name for path in (out / 'plots').iterdir()} == {
        'val_psnr.csv',
        'val_psnr_iterations.png',
        'val_psnr_seconds.png',
    }


def test_the_encoder_is_the_trained_one_to_the_last_bit(killed):
    trained = torch.load(killed['out'] / 'experiments/NAFNet-s5/models/net_g_latest.pth', weights_only=True)['params']
    used = weights(killed['out'], 'latest', name='pretrained-s1')
    keys = [key.removeprefix('encoder.') for key in used if key.startswith('encoder.') and '_extra' not in key]
    assert len(keys) > 50
    assert all(torch.equal(used[f'encoder.{key}'], trained[key]) for key in keys)


def test_a_third_start_runs_nothing_and_other_options_are_refused(killed, monkeypatch, capsys):
    monkeypatch.chdir(killed['root'])
    monkeypatch.setattr(running, 'start_child', None)
    command = ['study', 'plan.yml', '-o', 'out', '--seeds', '1']
    assert main(command) == 0
    assert '2 runs: 2 finished, 0 to do' in capsys.readouterr().out
    assert main([*command, '--total', '60']) == 2
    assert 'pretrained-s1: its options, or those of whose weights it takes, have changed' in capsys.readouterr().err
    with Lock(killed['out'] / 'lock'):
        assert main(command) == 2
    assert 'held by another process' in capsys.readouterr().err


def test_a_finished_study_is_told_again_by_a_fresh_process(killed):
    """Networks of others are known there only if somebody registers them."""
    command = [sys.executable, '-m', 'aibnet_arch', 'study', 'plan.yml', '-o', 'out', '--seeds', '1']
    environment = {**os.environ, 'PYTHONPATH': str(REPOSITORY)}
    done = subprocess.run(command, cwd=killed['root'], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert '2 runs: 2 finished, 0 to do' in done.stdout


def test_results_and_experiments_of_unknown_options_are_refused(killed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(killed['root'])
    shutil.copytree(killed['out'], tmp_path / 'out')
    command = ['study', 'plan.yml', '-o', str(tmp_path / 'out'), '--seeds', '1']
    folder = tmp_path / 'out/runs/pretrained-s1'
    (folder / 'run.json').unlink()
    assert main(command) == 2
    assert f'{folder / "run.json"} is missing' in capsys.readouterr().err
    shutil.rmtree(folder)  # its experiment is left
    assert main(command) == 2
    assert 'experiments/pretrained-s1 is there' in capsys.readouterr().err


def test_a_report_that_cannot_be_written_stops_no_run(killed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(killed['root'])
    shutil.copytree(killed['out'], tmp_path / 'out')
    for name in ('runs', 'experiments'):
        shutil.rmtree(tmp_path / 'out' / name / 'pretrained-s1')
    monkeypatch.setattr(running.Runner, 'run', lambda self: [self._finished(run) for run in self._waiting])
    (tmp_path / 'out/table.md').unlink()
    (tmp_path / 'out/table.md').mkdir()
    assert main(['study', 'plan.yml', '-o', str(tmp_path / 'out'), '--seeds', '1']) == 1
    streams = capsys.readouterr()
    assert 'the report could not be written' in streams.out
    assert 'table.md cannot be written: [Errno 21] Is a directory' in streams.err


def test_lost_weights_of_a_finished_run_are_told_beforehand(killed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(killed['root'])
    shutil.copytree(killed['out'], tmp_path / 'out')
    for gone in ('runs/pretrained-s1', 'experiments/pretrained-s1', 'experiments/NAFNet-s5'):
        shutil.rmtree(tmp_path / 'out' / gone)
    assert main(['study', 'plan.yml', '-o', str(tmp_path / 'out'), '--seeds', '1']) == 2
    assert 'net_g_latest.pth is gone, which pretrained-s1 needs' in capsys.readouterr().err


def test_faults_are_found_first_also_in_runs_that_wait_for_weights(killed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(killed['root'])
    opt = yaml.safe_load(Path('pretrained.yml').read_text())
    opt['network_g']['width'] = 16  # NAFNet's is 8
    opt['train']['optim_g']['lrr'] = 1
    (tmp_path / 'pretrained.yml').write_text(yaml.safe_dump(opt))
    plan = yaml.safe_load(Path('plan.yml').read_text())
    plan['runs'][0]['option_file'] = str(tmp_path / 'pretrained.yml')
    (tmp_path / 'plan.yml').write_text(yaml.safe_dump(plan))
    assert main(['study', str(tmp_path / 'plan.yml'), '-o', str(tmp_path / 'out')]) == 2
    message = capsys.readouterr().err
    assert 'does not fit the nafnet encoder' in message
    assert 'lrr' in message
    assert str(tmp_path / 'pretrained.yml') in message
    assert not (tmp_path / 'out').exists()


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--jobs', '0'], '--jobs 0'),
        (['--iterations-scale', '-1'], '--iterations-scale -1.0: expected a number above 0'),
        (['--iterations-scale', 'nan'], '--iterations-scale nan: expected a number above 0'),
        (['--iterations-scale', 'inf'], '--iterations-scale inf: expected a number above 0'),
        (['--total', '0'], '--total 0: expected a number above 0'),
        (['-o', ''], '-o: expected a folder'),
        (['--iterations-scale', '0.0001'], 'no iteration'),
        (['-o', 'plan.yml'], 'is no folder'),
        (['--base', 'Pretrained'], "no run has the name 'Pretrained' (did you mean 'pretrained'?)"),
    ],
)
def test_wrong_arguments_are_refused(flags, message, killed, monkeypatch, capsys):
    monkeypatch.chdir(killed['root'])
    assert main(['study', 'plan.yml', '-o', 'elsewhere', *flags]) == 2
    assert message in capsys.readouterr().err
    assert not Path('elsewhere').exists()


# The order of the runs, with processes that do nothing


def made_up_run(folder: Path, name: str, needs: dict) -> Run:
    return Run(name, name, 0, {'num_gpu': 0, 'path': {}, 'train': {'total_iter': 1}}, needs, 'digest', folder / name)


@pytest.fixture
def fake_children(monkeypatch, tmp_path):
    """Children write a result after 0.4 s, or end with 1 if the run is called bad. Gives a file of starts and ends."""
    log = tmp_path / 'log.txt'

    def start(run, *, gpu, threads):
        run.folder.mkdir()
        (run.folder / 'output.txt').write_text('something went wrong\n')
        history = [{'iteration': 1, 'dataset': 'val', 'seconds': 1.0, 'metrics': {'psnr': 1.0}}]
        result = vars(Result(run.name, 0, 'digest', 1, 1.0, 'x', history))
        code = (
            'import json, pathlib, sys, time\n'
            f'note = lambda what: open({str(log)!r}, "a").write(f"{{what}} {run.name}\\n")\n'
            f'note("start"); time.sleep({30 if run.name == "long" else 0.4}); note("end")\n'
            f'if {run.name!r}.startswith("bad"): sys.exit(1)\n'
            f'pathlib.Path({str(run.folder)!r}, "result.json").write_text({json.dumps(result)!r})\n'
        )
        return subprocess.Popen([sys.executable, '-c', code])

    monkeypatch.setattr(running, 'start_child', start)
    return log


def test_as_many_run_at_a_time_as_there_are_places_and_what_is_needed_comes_first(fake_children, tmp_path):
    first = made_up_run(tmp_path, 'first', {})
    runs = [
        made_up_run(tmp_path, 'second', {'pretrain_network_g': first}),
        first,
        *(made_up_run(tmp_path, name, {}) for name in 'abc'),
    ]
    done = []
    runner = Runner(runs, Places([None, None], 1), tell=lambda line: None, finished=lambda run: done.append(run.name))
    runner.run()
    assert sorted(done) == ['a', 'b', 'c', 'first', 'second']
    lines = fake_children.read_text().splitlines()
    assert lines.index('end first') < lines.index('start second')
    at_a_time, most = 0, 0
    for line in lines:
        at_a_time += 1 if line.startswith('start') else -1
        most = max(most, at_a_time)
    assert most == 2


def test_a_failure_is_told_and_what_needs_it_is_not_run(fake_children, tmp_path):
    bad = made_up_run(tmp_path, 'bad', {})
    runs = [bad, made_up_run(tmp_path, 'after', {'pretrain_network_g': bad}), made_up_run(tmp_path, 'good', {})]
    done = []
    runner = Runner(runs, Places([None], 1), tell=lambda line: None, finished=lambda run: done.append(run.name))
    runner.run()
    assert done == ['good']
    assert 'something went wrong' in runner.failures['bad']
    assert runner.failures['after'] == 'needs bad'
    assert 'after' not in fake_children.read_text()


def test_a_signal_stops_the_runs(fake_children, tmp_path):
    runner = Runner([made_up_run(tmp_path, 'long', {})], Places([None], 1), tell=lambda line: None, finished=print)
    pid = os.getpid()
    subprocess.Popen([sys.executable, '-c', f'import os, time; time.sleep(1); os.kill({pid}, {int(signal.SIGTERM)})'])
    started = time.monotonic()
    with pytest.raises(StoppedError, match='SIGTERM'):
        runner.run()
    assert time.monotonic() - started < 15
    assert 'end' not in fake_children.read_text()


def test_a_run_that_an_earlier_start_still_has_is_waited_for(fake_children, tmp_path):
    run = made_up_run(tmp_path, 'held', {})
    run.folder.mkdir()
    holder = (
        'import pathlib, sys, time\nfrom aibnet_arch.locks import Lock\n'
        f'with Lock(pathlib.Path({str(run.folder / "lock")!r})):\n'
        f'    time.sleep(1.5)\n    open({str(fake_children)!r}, "a").write("released\\n")\n'
    )
    process = subprocess.Popen([sys.executable, '-c', holder], cwd=REPOSITORY)
    wait_for(lambda: is_held(run.folder / 'lock'))
    told = []
    start = running.start_child
    running.start_child = lambda run, **places: (run.folder.rename(tmp_path / 'old'), start(run, **places))[1]
    try:
        Runner([run], Places([None], 1), tell=told.append, finished=lambda run: None).run()
    finally:
        running.start_child = start
    process.wait()
    assert 'an earlier start still has it' in told[0]
    assert fake_children.read_text().splitlines()[:2] == ['released', 'start held']


def test_places_are_gpus_or_shares_of_the_cores(monkeypatch):
    monkeypatch.setattr(os, 'sched_getaffinity', lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 4)
    assert Places.here(jobs=None, use_gpus=True) == Places(['0', '1', '2', '3'], 2)
    assert Places.here(jobs=2, use_gpus=True) == Places(['0', '1'], 4)
    assert Places.here(jobs=3, use_gpus=False) == Places([None] * 3, 2)
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '5,7')
    assert Places.here(jobs=None, use_gpus=True) == Places(['5', '7'], 4)
    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    assert Places.here(jobs=None, use_gpus=False) == Places([None], 1)

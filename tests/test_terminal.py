"""What a person reads at the terminal: few lines, the time left, the figures, the next command."""

import io
import logging
import os
import re
import sys
import types

import pytest
import yaml

from aibnet_arch import terminal
from aibnet_arch.terminal import TOLD, Terminal, command, duration, figures, short_path
from aibnet_arch.training import progress
from tests.training import dataset_options, log_of, make_dataset, options, run


class Stream(io.StringIO):
    """A stream that is a person's terminal or is none."""

    def __init__(self, interactive):
        super().__init__()
        self._interactive = interactive

    def isatty(self):
        return self._interactive


@pytest.fixture(params=[True, False], ids=['a person', 'a file'])
def streams(request, monkeypatch):
    """Standard output and error, and a clock that is set by hand."""
    now = [100.0]
    monkeypatch.setattr(terminal.time, 'monotonic', lambda: now[0])
    streams = types.SimpleNamespace(out=Stream(request.param), err=Stream(request.param), now=now, person=request.param)
    # Not those of the interpreter: pytest takes them back before the test begins.
    monkeypatch.setattr(terminal, 'sys', types.SimpleNamespace(stdout=streams.out, stderr=streams.err))
    return streams


def begun(**changes):
    each = Terminal()
    each.begin(**{'verbose': False, 'shown': True, **changes})
    return each


def test_progress_is_one_line_for_a_person_and_a_line_now_and_then_in_a_file(streams):
    shown = begun()
    for second in range(1, 61):
        streams.now[0] = 100.0 + second
        shown.progress(f'iteration {second}')
    shown.say('done')
    assert streams.out.getvalue() == 'done\n'
    written = streams.err.getvalue()
    if streams.person:
        assert written.count('iteration') == 60
        assert '\n' not in written
        assert written.endswith('iteration 60\r\x1b[K')  # taken away for the line that stays
    else:
        assert written == 'iteration 30\niteration 60\n'


def test_in_a_file_the_lines_of_a_long_run_grow_rarer_and_never_stop(streams):
    shown = begun()
    seconds = 0
    times = []
    while seconds < 20 * 3600:
        seconds += 10
        streams.now[0] = 100.0 + seconds
        if not streams.person and shown.is_due():
            times.append(seconds)
        shown.progress('iteration')
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert streams.person or (gaps == sorted(gaps) and gaps[-1] == 600 and gaps[0] == 30)


def test_what_comes_from_outside_cannot_command_the_terminal(streams):
    shown = begun()
    streams.now[0] += 60
    shown.progress('set \x1b[2J\n forged')
    shown.say('name \x1b]0;x')
    assert '\x1b[2J' not in streams.err.getvalue()
    assert '\x1b' not in streams.out.getvalue()


def test_other_processes_are_silent_and_verbose_has_no_line_of_progress(streams):
    for each in (begun(shown=False), begun(verbose=True)):
        streams.now[0] += 60
        each.progress('iteration')
    begun(shown=False).say('done')
    assert streams.err.getvalue() + streams.out.getvalue() == ''


def test_the_log_goes_to_its_file_and_warnings_here_once(streams):
    logger = logging.getLogger('test_terminal')
    logger.propagate = False
    logger.setLevel(logging.INFO)
    logger.handlers[:] = [logging.StreamHandler()]
    shown = begun()
    shown.take_over(logger)
    logger.info('the module tree')
    logger.warning('a step is skipped')
    logger.warning('told before', extra=TOLD)
    logger.error('an accident')
    assert streams.err.getvalue() == 'warning: a step is skipped\nerror: an accident\n'


def test_verbose_leaves_the_log_where_it_was():
    logger = logging.getLogger('test_terminal')
    logger.handlers[:] = [logging.StreamHandler()]
    begun(verbose=True).take_over(logger)
    assert [type(handler) for handler in logger.handlers] == [logging.StreamHandler]


@pytest.mark.parametrize('how', ['the reader is gone', 'closed', 'none'])
def test_a_run_outlives_its_terminal(how, monkeypatch):
    readable, writable = os.pipe()
    os.close(readable)
    stream = os.fdopen(writable, 'w')
    if how == 'closed':
        stream.close()
    monkeypatch.setattr(sys, 'stdout', None if how == 'none' else stream)
    shown = begun()
    shown.say('one')
    shown.say('two')
    if how == 'the reader is gone':
        print('of somebody else', flush=True)
        stream.close()


def test_a_stream_that_is_no_file_may_fail(monkeypatch):
    """A notebook's, say: there is no descriptor to lead elsewhere."""

    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, 'stdout', Broken())
    begun().say('one')


@pytest.mark.parametrize(
    ('seconds', 'told'),
    [(0.4, '0:00'), (62, '1:02'), (3599.6, '1:00:00'), (86400 * 2 + 3600 * 3 + 240, '2 days 03:04')],
)
def test_durations(seconds, told):
    assert duration(seconds) == told


def test_figures_of_the_input_stand_before_those_of_the_output():
    assert figures({'psnr': 25.234}, {'psnr': 26.471, 'lpips': 0.12345}) == 'psnr 25.23 -> 26.47, lpips 0.1235'


def test_paths_are_short_below_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert short_path('a/b.pth') == short_path(tmp_path / 'a/b.pth') == os.path.join('a', 'b.pth')
    assert short_path(f'{tmp_path}-other/a') == f'{tmp_path}-other/a'


@pytest.mark.parametrize(('activated', 'installed'), [(True, True), (False, True), (False, False)])
def test_the_command_is_one_that_can_be_typed_here(activated, installed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = tmp_path / '.venv/bin/basicsr'
    script.parent.mkdir(parents=True)
    if installed:
        script.touch(mode=0o755)
    monkeypatch.setenv('PATH', str(script.parent) if activated else '/nowhere')
    monkeypatch.setattr(sys, 'executable', str(script.with_name('python')))
    expected = 'basicsr' if activated else '.venv/bin/basicsr' if installed else '.venv/bin/python -m aibnet_arch'
    assert command() == expected


# The time left


@pytest.fixture
def measured(monkeypatch):
    """Progress of a run of 100 iterations with validations each 30 of one set, and its clock."""
    now = [0.0]
    monkeypatch.setattr(progress.time, 'monotonic', lambda: now[0])
    model = types.SimpleNamespace(opt={'train': {'total_iter': 100}, 'val': {'val_freq': 30}}, log_dict={'l_pix': 0.25})
    return progress.TrainingProgress(model, loaders=[object()]), now


def test_the_time_left_counts_iterations_and_validations(measured):
    counted, now = measured
    for number in range(1, 31):
        now[0] += 2
        counted.iteration(number)
    assert counted.seconds_an_iteration() == pytest.approx(2)
    assert counted.validations_left() == 3  # 60, 90 and the last
    assert counted.seconds_left() == pytest.approx(2 * 70)
    assert counted._left() == ', 2:20 and 3 validations left'
    with counted.validation('val'):
        now[0] += 50
    now[0] += 2
    counted.iteration(31)
    assert counted.seconds_an_iteration() == pytest.approx(2)  # a validation makes no iteration slow
    assert counted.seconds_left() == pytest.approx(2 * 69 + 3 * 50)
    assert counted._left() == ', 4:48 left'


# Whole runs


def test_a_run_says_what_it_does_and_where_the_results_are(tmp_path, monkeypatch, capsys):
    make_dataset(tmp_path)
    opt = options()
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    told = capsys.readouterr()
    assert not told.err
    lines = told.out.splitlines()
    assert len(lines) < 15
    assert re.match(r'run: 9 iterations in 2 stages, on the CPU', lines[0])
    assert '10 (train: train), 2 (val: val)' in told.out
    assert re.search(r'iteration 9, val: psnr .*\d', told.out)
    assert (
        lines[-1]
        == f'  next        {command()} deblur PHOTOS -o sharp --weights experiments/run/models/net_g_latest.pth'
    )
    assert 'Conv2d' in log_of(tmp_path)  # the module tree

    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g', 'manual_seed')}
    test.update(name='test_run', datasets={'test': dataset_options('val')})
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_latest.pth'}
    test['val'] = {'save_img': True, 'metrics': opt['val']['metrics'], 'page': True}
    assert run(test, root=tmp_path, monkeypatch=monkeypatch, command='test') == 0
    told = capsys.readouterr()
    assert not told.err
    assert re.search(r'^val: psnr .*\d', told.out, re.MULTILINE)
    for place in ('results/test_run/val.csv', 'results/test_run/page_val/index.html'):
        assert place in told.out
        assert (tmp_path / place).is_file()
    assert len(told.out.splitlines()) < 15

    (tmp_path / 'test').mkdir()
    (tmp_path / 'test/opt.yml').write_text(yaml.safe_dump(test))
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch, flags=('--verbose', '--auto_resume')) == 0
    told = capsys.readouterr()
    assert 'Conv2d' in told.err
    assert told.out.endswith(f'  next        {command()} test -opt test/opt.yml\n')

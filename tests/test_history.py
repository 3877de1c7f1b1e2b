"""What validations found is kept once, with the seconds of training."""

import time

import pytest

from aibnet_arch.errors import UserError
from aibnet_arch.training.history import History, TrainingClock
from tests.training import log_of, make_dataset, options, run


def test_the_clock_counts_only_between_start_and_pauses():
    clock = TrainingClock()
    with clock.paused():
        time.sleep(0.02)
    assert clock.seconds == 0  # not started
    clock.go_on_from(100)
    started = time.perf_counter()
    clock.start()
    time.sleep(0.03)
    with clock.paused():
        before = clock.seconds
        time.sleep(0.05)
        assert clock.seconds == before
    time.sleep(0.03)
    assert 100.06 <= clock.seconds < 100 + time.perf_counter() - started - 0.05


def test_a_repeated_iteration_replaces_what_was_said_about_it_and_what_came_after(tmp_path):
    history = History(tmp_path)
    for iteration in (3, 6, 9):
        for dataset in ('a', 'b'):
            history.note(iteration=iteration, dataset=dataset, seconds=iteration / 2, metrics={'psnr': 20 + iteration})
    history.note(iteration=6, dataset='a', seconds=3.5, metrics={'psnr': 1})
    history.note(iteration=6, dataset='b', seconds=3.6, metrics={'psnr': 2})
    found = [(row['iteration'], row['dataset'], row['seconds'], row['metrics']['psnr']) for row in history.rows()]
    assert found == [(3, 'a', 1.5, 23), (3, 'b', 1.5, 23), (6, 'a', 3.5, 1), (6, 'b', 3.6, 2)]


def test_what_the_input_measures_is_noted_where_it_is_known(tmp_path):
    history = History(tmp_path)
    assert history.rows() == []
    history.note(iteration=3, dataset='a', seconds=1.23456, metrics={'psnr': 30}, of_input={'psnr': 25})
    history.note(iteration=3, dataset='b', seconds=2, metrics={'psnr': 31})
    assert history.rows() == [
        {'iteration': 3, 'dataset': 'a', 'seconds': 1.235, 'metrics': {'psnr': 30}, 'input': {'psnr': 25}},
        {'iteration': 3, 'dataset': 'b', 'seconds': 2, 'metrics': {'psnr': 31}},
    ]


@pytest.mark.parametrize(
    'line',
    [
        '{"iteration": 3',
        '[3]',
        '{"iteration": true, "dataset": "a", "metrics": {}}',
        '{"iteration": 3, "dataset": "a"}',
        '{"iteration": 3, "metrics": {}}',
    ],
)
def test_a_damaged_history_is_told(line, tmp_path):
    (tmp_path / 'history.jsonl').write_text(line)
    with pytest.raises(UserError, match=r'history\.jsonl is damaged'):
        History(tmp_path).rows()


def test_a_resumed_run_has_each_validation_once_and_counts_on(tmp_path, monkeypatch):
    make_dataset(tmp_path)
    experiment = tmp_path / 'experiments/run'
    assert run(options(), root=tmp_path, monkeypatch=monkeypatch) == 0
    first = History(experiment).rows()
    assert [row['iteration'] for row in first] == [3, 6, 9]
    assert all(row['dataset'] == 'val' and list(row['metrics']) == ['psnr'] for row in first)
    seconds = [row['seconds'] for row in first]
    assert 0 < seconds[0] < seconds[1] < seconds[2]
    for iteration in (6, 7, 8, 9):
        (experiment / f'training_states/{iteration}.state').unlink()
    assert run(options(), root=tmp_path, monkeypatch=monkeypatch, flags=('--auto_resume',)) == 0
    second = History(experiment).rows()
    for repeated, row in zip(second, first):
        assert (repeated['iteration'], repeated['metrics']) == (row['iteration'], row['metrics'])
    assert len(second) == 3
    assert second[0] == first[0]
    assert second[0]['seconds'] < second[1]['seconds'] < second[2]['seconds']


def test_the_last_iteration_is_validated_once(tmp_path, monkeypatch):
    """The loop asks a second time when it is over."""
    make_dataset(tmp_path)
    assert run(options(stage_iter=[1, 2], total_iter=3), root=tmp_path, monkeypatch=monkeypatch) == 0
    assert log_of(tmp_path).count('Validation val') == 1

"""What a study tells beside its table: a table for a paper, and the time left."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from aibnet_arch.study.costs import Cost
from aibnet_arch.study.paper import FILES, paper_table, write_paper_tables
from aibnet_arch.study.plan import Run
from aibnet_arch.study.table import final_rows, markdown
from aibnet_arch.study.time_left import TimeLeft, in_words
from tests.test_study_table import result

COSTS = {name: Cost(2_000_000, 1_000_000, 3_000_000_000, 4_000_000_000) for name in 'BS'}


def with_input(one, psnr):
    return replace(one, history=[{**row, 'input': {'psnr': psnr, 'ssim': 0.4}} for row in one.history])


@pytest.fixture
def results():
    return {
        'B': [with_input(result('B', seed, [value]), 23.0) for seed, value in enumerate((24.0, 25.0))],
        'S': [with_input(result('S', seed, [value]), 23.0) for seed, value in enumerate((26.0, 27.0))],
    }


def test_the_input_and_gains_stand_in_both_tables(results, tmp_path):
    rows = final_rows(results, 'B', COSTS)
    assert [row['val.psnr.input'] for row in rows] == [23.0, 23.0]
    assert '| blurred input |  |  | 23.0000 |' in markdown(results, 'B', COSTS)
    write_paper_tables(tmp_path, results, COSTS)
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    assert '**26.50 ± 0.71 (+3.50)**' in (tmp_path / 'paper.md').read_text()


def test_results_of_before_the_input_was_measured_have_none(results):
    older = {**results, 'B': [result('B', 0, [24.0])]}
    assert 'val.psnr.input' not in final_rows(older, 'B', COSTS)[0]
    assert 'blurred input' not in markdown(older, 'B', COSTS)
    assert paper_table({'B': older['B']}, COSTS).rows[0].name == 'B'


def run_of(root: Path, entry: str, *, seed: int = 0, total: int = 100) -> Run:
    options = {'train': {'total_iter': total}, 'path': {'experiments_root': str(root)}}
    return Run(f'{entry}-{seed}', entry, seed, options, {}, 'digest', root / entry)


def test_the_time_left_follows_from_finished_runs(tmp_path):
    clock = [0.0]
    left = TimeLeft(places=2, now=lambda: clock[0])
    first, second, third = (run_of(tmp_path, 'A', seed=seed) for seed in range(3))
    left.start(first)
    assert left.seconds(active=[first], waiting=[second]) is None
    clock[0] = 50
    left.finish(first)
    assert left.seconds(active=[], waiting=[second]) == 50
    assert left.seconds(active=[], waiting=[second, third, run_of(tmp_path, 'B', total=200)]) == 100
    left.start(second)
    clock[0] = 80
    assert left.seconds(active=[second], waiting=[]) == 20


def test_before_a_run_has_finished_its_validations_tell(tmp_path):
    clock = [0.0]
    left = TimeLeft(places=1, now=lambda: clock[0])
    run = run_of(tmp_path, 'A')
    folder = tmp_path / run.name
    folder.mkdir()
    line = {'dataset': 'val', 'seconds': 1, 'metrics': {}}
    (folder / 'history.jsonl').write_text(json.dumps({**line, 'iteration': 20}) + '\n')
    left.start(run)  # goes on from 20
    clock[0] = 30
    (folder / 'history.jsonl').write_text(json.dumps({**line, 'iteration': 50}) + '\n')
    assert left.seconds(active=[run], waiting=[]) == 50
    (folder / 'history.jsonl').write_text('{')
    assert left.seconds(active=[run], waiting=[]) is None


@pytest.mark.parametrize(('seconds', 'words'), [(3, 'about 3 s'), (120, 'about 2 min'), (12_000, 'about 3 h 20 min')])
def test_times_in_words(seconds, words):
    assert in_words(seconds) == words

"""Figures, tables and plots of a study, from made-up results."""

import csv
from dataclasses import replace

import cv2
import numpy as np
import pytest

from aibnet_arch.commands.main import prepare
from aibnet_arch.errors import UserError
from aibnet_arch.files import write_csv
from aibnet_arch.study.costs import cost_of
from aibnet_arch.study.plots import curve_rows, write_plots
from aibnet_arch.study.results import Result, read_result
from aibnet_arch.study.table import (
    Figure,
    at_equal_time,
    difference,
    equal_time_rows,
    final_rows,
    markdown,
)
from tests.training import options


def result(entry: str, seed: int, values, *, seconds_each: float = 10.0) -> Result:
    """A run of 100 iterations for each value."""
    history = [
        {'iteration': 100 * n, 'dataset': 'val', 'seconds': seconds_each * n, 'metrics': {'psnr': value, 'ssim': 0.5}}
        for n, value in enumerate(values, start=1)
    ]
    return Result(entry, seed, 'digest', 100 * len(values), seconds_each * len(values), 'a machine', history)


@pytest.fixture
def results():
    return {
        'B': [result('B', seed, [20, 22, value]) for seed, value in enumerate((24.0, 25.0, 29.0))],
        # One better than the base in each seed, but for 0.3; half as long, at twice the speed.
        'S': [result('S', seed, [20, value], seconds_each=5) for seed, value in enumerate((25.0, 26.0, 30.3))],
    }


def test_differences_are_paired_by_seed(results):
    found = difference(results['S'], results['B'], 'val', 'psnr')
    assert found.mean == pytest.approx((1 + 1 + 1.3) / 3)
    # Unpaired, the spread of the seeds would drown it: 2.6 each.
    assert found.error == pytest.approx(np.std([1, 1, 1.3], ddof=1) / np.sqrt(3))
    assert difference(results['S'][:1], results['B'][1:], 'val', 'psnr') == Figure(0, None, None)


def test_at_equal_time_the_longer_run_is_interpolated(results):
    seconds, here, there, between = at_equal_time(results['S'][:1], results['B'], 'val', 'psnr')
    # S ends at 10 s, when B had 20 dB.
    assert (seconds.mean, here.mean, there.mean, between.mean) == (10, 25, 20, 5)
    _, here, there, _ = at_equal_time(results['S'][:1], [result('B', 0, [20, 30], seconds_each=8)], 'val', 'psnr')
    assert there.mean == pytest.approx(22.5)
    # Nothing is known of a run before its first validation.
    late = [result('B', 0, [20], seconds_each=50)]
    assert at_equal_time(results['S'][:1], late, 'val', 'psnr')[3].mean is None


def test_tables_hold_means_spread_differences_and_costs(results, tmp_path):
    prepare()
    small, large = options(), options()
    small['network_g']['num_sub_decoders'] = 1
    small['train'].update(stage_iter=[9])
    costs = {'B': cost_of(large), 'S': cost_of(small)}
    write_csv(tmp_path / 'table.csv', final_rows(results, 'B', costs))
    with (tmp_path / 'table.csv').open() as file:
        base, other = csv.DictReader(file)
    assert float(base['val.psnr.mean']) == 26
    assert float(base['val.psnr.deviation']) == pytest.approx(np.std([24, 25, 29], ddof=1))
    assert base['val.psnr.difference'] == ''
    assert float(other['val.psnr.difference']) == pytest.approx(1.1)
    assert int(base['parameters']) > int(other['parameters'])
    assert int(base['conv_macs']) > int(other['conv_macs'])
    text = markdown(results, 'B', costs)
    assert '| B | 3 | 300 | 26.0000 ± 2.6458 |  |' in text
    assert '| S | 3 | 200 | 27.1000 ± 2.8160 | +1.1000 ± 0.1000 |' in text
    assert '| S | psnr | 3 | 10.0 | 27.1000 | 20.0000 | +7.1000 ± 1.6258 |' in text
    assert [row['name'] for row in equal_time_rows(results, 'B')] == ['S', 'S']


def test_one_seed_has_no_spread(results):
    prepare()
    one = {'B': results['B'][:1], 'S': results['S'][:1]}
    text = markdown(one, 'B', {name: cost_of(options()) for name in one})
    assert '| B | 1 | 300 | 24.0000 |  |' in text
    assert '| S | 1 | 200 | 25.0000 | +1.0000 |' in text


def test_what_trains_is_counted_in_the_stage_that_trains_most():
    prepare()
    progressive, direct, frozen = options(), options(strategy='direct'), options()
    del direct['train']['stage_iter']
    frozen['network_g']['freeze_encoder'] = True
    costs = [cost_of(opt) for opt in (progressive, direct, frozen)]
    assert len({cost.parameters for cost in costs}) == 1
    assert costs[2].trainable < costs[0].trainable < costs[1].trainable < costs[0].parameters
    later = options(stage_iter=[0, 9])
    assert cost_of(later).trainable == costs[2].trainable  # the encoder trains in stage 1 alone


def test_plots_and_their_data(results, tmp_path):
    rows = curve_rows(results['B'], 'val', 'psnr')
    assert [row['iterations'] for row in rows] == [100, 200, 300]
    assert rows[2]['mean'] == 26
    assert rows[0]['deviation'] == 0
    pictures = write_plots(tmp_path, results)
    assert {path.name for path in pictures} == {
        f'val_{metric}_{axis}.png' for metric in ('psnr', 'ssim') for axis in ('iterations', 'seconds')
    }
    for path in pictures:
        assert cv2.imread(str(path)).std() > 5
    assert len((tmp_path / 'val_psnr.csv').read_text().splitlines()) == 1 + 3 + 2


def test_results_are_read_back_and_a_damaged_one_is_told(results, tmp_path):
    assert read_result(tmp_path) is None
    results['B'][0].write(tmp_path)
    assert read_result(tmp_path) == results['B'][0]
    for text in ('{"entry"', '{"entry": 1}', '[]'):
        (tmp_path / 'result.json').write_text(text)
        with pytest.raises(UserError, match='is damaged'):
            read_result(tmp_path)


def test_times_that_cannot_be_of_equal_runs_are_told(results):
    costs = {name: cost_of(options()) for name in results}
    assert 'no measurement' not in markdown(results, next(iter(results)), costs)
    name = next(name for name, group in results.items() if len(group) > 1)
    slow = replace(results[name][0], seconds=10 * results[name][0].seconds)
    text = markdown({**results, name: [slow, *results[name][1:]]}, next(iter(results)), costs)
    assert f'The seconds are no measurement**: runs of the same network ({name})' in text


def test_names_and_values_that_plots_and_means_must_bear(tmp_path):
    group = [result('_a $x$|b', seed, [20.0, float('inf')]) for seed in (0, 1)]
    write_plots(tmp_path, {'_a $x$|b': group})
    assert Figure.of([float('inf')] * 2).mean == float('inf')
    assert len(list(tmp_path.glob('*.png'))) == 4

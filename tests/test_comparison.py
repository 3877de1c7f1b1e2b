"""`basicsr compare`: pairs by picture, the sign test, the bootstrap, and what cannot be paired."""

import csv
import math

import numpy as np
import pytest
from scipy import stats

from aibnet_arch.commands.main import main
from aibnet_arch.errors import UserError
from aibnet_arch.evaluation.comparison import compare
from aibnet_arch.metrics import EvaluationTable
from aibnet_arch.metrics.paired import Paired, bootstrap_interval, sign_test


def write_test(folder, values, *, dataset='mine', metric='psnr', before=None, **more):
    """A test's folder: picture to value."""
    folder.mkdir(parents=True, exist_ok=True)
    table = EvaluationTable(dataset=dataset, **more)
    for image, value in values.items():
        of_input = {metric: before[image]} if before else None
        table.add(image=image, metrics={metric: value}, seconds=1, before=of_input)
    table.write(folder / f'{dataset}.csv', folder / f'{dataset}.json')
    return folder


@pytest.mark.parametrize(('above', 'below'), [(0, 1), (3, 3), (9, 1), (1, 9), (700, 411), (12, 0)])
def test_the_sign_test_is_scipys(above, below):
    assert sign_test(above, below) == pytest.approx(stats.binomtest(above, above + below).pvalue, rel=1e-9)


def test_the_interval_is_scipys_but_for_the_draw():
    values = np.random.default_rng(3).gamma(2, 0.1, 60) - 0.1
    for level, tolerance in ((0.95, 0.003), (0.5, 0.0015)):
        expected = stats.bootstrap(
            (values,), np.mean, method='percentile', confidence_level=level, n_resamples=10_000, rng=1
        ).confidence_interval
        assert bootstrap_interval(values, level=level) == pytest.approx(tuple(expected), abs=tolerance)
    assert bootstrap_interval(values) == bootstrap_interval(values, level=0.95)
    assert bootstrap_interval(values) == bootstrap_interval(values)


def test_few_pairs_have_no_interval_and_no_pairs_no_mean():
    assert Paired.of([0.5]) == Paired(1, 0.5, None, None, 1, 0, 0, 1.0)
    assert Paired.of([0.0, 0.0]).sign_test is None
    assert Paired.of([]).mean is None


def test_pictures_are_paired_by_name_and_lower_can_be_better(tmp_path):
    first = write_test(tmp_path / 'a', {'p': 0.5, 'q': 0.4, 'r': 0.3}, metric='lpips', lower_is_better=['lpips'])
    other = write_test(tmp_path / 'b', {'q': 0.3, 'p': 0.2, 's': 0.1}, metric='lpips', lower_is_better=['lpips'])
    (found,) = compare([first, other])
    assert found.differences == {'p': pytest.approx(0.3), 'q': pytest.approx(0.1)}
    assert (found.base_mean, found.mean) == (pytest.approx(0.45), pytest.approx(0.25))
    assert found.left_out == 2
    assert found.paired.above == 2


def test_values_that_are_not_finite_are_left_out_and_counted(tmp_path):
    first = write_test(tmp_path / 'a', {'p': 30.0, 'q': math.inf, 'r': 29.0})
    other = write_test(tmp_path / 'b', {'p': 31.0, 'q': 40.0, 'r': math.nan})
    (found,) = compare([first, other])
    assert (found.differences, found.left_out) == ({'p': 1.0}, 2)


def test_the_command_prints_a_line_for_each_and_writes_the_pictures(tmp_path, capsys):
    pictures = [f'p{number}' for number in range(12)]
    folders = [
        write_test(tmp_path / name, dict.fromkeys(pictures, 30 + gain))
        for name, gain in (('a', 0.0), ('b', 0.5), ('c', -0.25))
    ]
    out = tmp_path / 'differences.csv'
    assert main(['compare', *map(str, folders), '-o', str(out)]) == 0
    text = capsys.readouterr().out
    assert '[+0.5000, +0.5000]' in text
    assert f'p = {2 / 2**12:.2g}' in text
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 24
    assert [float(row['better_by']) for row in rows if row['name'] == 'c'] == [-0.25] * 12


def faults(root):
    good = write_test(root / 'good', {'p': 30.0})
    (root / 'empty').mkdir()
    (root / 'bad').mkdir()
    (root / 'bad/x.json').write_text('{')
    return [
        ([good, root / 'nowhere'], 'there is no'),
        ([good, root / 'empty'], 'no summary of a test'),
        ([good, root / 'bad'], 'cannot be read'),
        ([good, write_test(root / 'other', {'p': 1.0}, dataset='theirs')], 'no dataset of one name'),
        ([good, write_test(root / 'names', {'z': 1.0})], 'no picture in common'),
        ([good, write_test(root / 'metrics', {'p': 1.0}, metric='ssim')], 'no metric in common'),
    ]


def test_what_cannot_be_compared_is_told(tmp_path):
    for folders, told in faults(tmp_path):
        with pytest.raises(UserError, match=told):
            compare(folders)
    with pytest.raises(UserError, match="did you mean 'psnr'"):
        compare([tmp_path / 'good', tmp_path / 'good'], metrics=['pnsr'])
    twice = write_test(tmp_path / 'twice', {'p': 30.0})
    text = (twice / 'mine.json').read_text()
    (twice / 'mine.json').write_text(text.replace('"pictures": [', '"pictures": [{"image": "p", "psnr": 1.0},'))
    with pytest.raises(UserError, match='several pictures are called p'):
        compare([tmp_path / 'good', twice])


def test_one_folder_is_not_enough(tmp_path, capsys):
    assert main(['compare', str(write_test(tmp_path / 'a', {'p': 1.0}))]) == 2
    assert 'two tests or more' in capsys.readouterr().err

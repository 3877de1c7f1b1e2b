"""What a validation says beside the figures of the result: the input's, the gains, and what could not be measured."""

import csv
import json
import math
import os
import re

import numpy as np
import pytest

from aibnet_arch.errors import RunError, UserError
from aibnet_arch.evaluation.measuring import Metric, measure
from aibnet_arch.evaluation.metric_processes import MetricProcesses, result_of
from aibnet_arch.metrics import EvaluationTable, calculate_ssim_2d, gain_of
from tests.odd_metrics import dies, fails_on_dark, needs_weights
from tests.training import log_of, make_dataset, options, run


def metric(function, name='m', **options):
    return Metric(name, function.__name__, function, options, lower_is_better=False, aligns=False)


def picture(value=0, size=24):
    return np.random.default_rng(value).integers(100, 256, (size, size, 3), dtype=np.uint8)


def setup():
    """What a process needs first: nothing here."""


def test_a_gain_above_zero_is_better_whichever_way_the_metric_goes():
    assert gain_of(31.0, 30.0, lower_is_better=False) == 1.0
    assert gain_of(0.1, 0.3, lower_is_better=True) == pytest.approx(0.2)
    assert gain_of(math.inf, math.inf, lower_is_better=False) == 0


def test_the_table_has_input_and_gain_of_each_picture_and_in_sum(tmp_path):
    table = EvaluationTable(dataset='mine', lower_is_better=['lpips'])
    for image, psnr, lpips in (('a', 30.0, 0.2), ('b', 34.0, None)):
        before = {'psnr': 29.0, 'lpips': 0.25}
        table.add(image=image, metrics={'psnr': psnr, 'lpips': lpips}, seconds=1, before=before)
    table.write(tmp_path / 't.csv', tmp_path / 't.json')
    rows = list(csv.DictReader((tmp_path / 't.csv').open()))
    assert list(rows[0]) == [
        *('image', 'psnr', 'psnr_input', 'psnr_gain', 'lpips', 'lpips_input', 'lpips_gain', 'seconds', 'note')
    ]
    assert [float(row['psnr_gain']) for row in rows] == [1.0, 5.0]
    assert (rows[1]['lpips'], rows[1]['lpips_gain']) == ('', '')
    found = json.loads((tmp_path / 't.json').read_text())['metrics']
    assert found['psnr'] == {'mean': 32.0, 'not_finite': 0, 'input': 29.0, 'gain': 3.0}
    assert found['lpips']['mean'] == 0.2
    assert found['lpips']['not_measured'] == 1
    assert found['lpips']['better'] == 'lower'
    assert found['lpips']['gain'] == pytest.approx(0.05)
    assert table.means()['lpips'] == 0.2
    assert 'psnr: 32.0000, input 29.0000, gain +3.0000' in table.told()
    assert 'not measured: 1' in table.told()


def test_columns_of_the_input_cannot_be_mixed_up_with_a_metric():
    with pytest.raises(ValueError, match="cannot be called 'psnr_gain'"):
        EvaluationTable(dataset='mine').add(image='a', metrics={'psnr': 1.0, 'psnr_gain': 2.0}, seconds=1)


def test_a_metric_that_fails_is_a_note_and_the_others_are_measured():
    dark = np.zeros((24, 24, 3), np.uint8)
    found = measure([metric(fails_on_dark, 'odd'), metric(calculate_ssim_2d, 'ssim')], dark, dark)
    assert found.values == {'odd': None, 'ssim': pytest.approx(1)}
    assert found.notes == ('odd not measured: too dark',)


def test_a_metric_that_lacks_something_stops_the_run():
    with pytest.raises(UserError, match='no weights'):
        measure([metric(needs_weights)], picture(), picture())


def test_processes_measure_the_same_in_the_same_order():
    told = []
    pictures = [(picture(number), picture(number + 1)) for number in range(5)]
    metrics = [metric(calculate_ssim_2d), metric(fails_on_dark, 'odd')]
    arguments = {'pictures': 5, 'share': 1, 'setup': setup, 'tell': told.append}
    with MetricProcesses(metrics, processes=2, **arguments) as there:
        futures = [there.submit(pair, pair[::-1]) for pair in pictures]
        elsewhere = [result_of(future) for future in futures]
    assert told == ['The metrics are measured in 2 processes.']
    with MetricProcesses(metrics, processes=None, **arguments) as here:
        assert elsewhere == [result_of(here.submit(pair, pair[::-1])) for pair in pictures]
    assert len(told) == 1  # so little is not worth a process


def test_what_other_processes_cannot_import_is_measured_here():
    told = []
    nowhere = metric(lambda img, img2: float(os.getpid()), 'mine')
    arguments = {'pictures': 1, 'processes': 2, 'share': 1, 'setup': setup, 'tell': told.append}
    with MetricProcesses([nowhere], **arguments) as processes:
        (found,) = result_of(processes.submit((picture(), picture())))
    assert found.values == {'mine': os.getpid()}
    assert 'cannot import mine' in told[0]


def test_a_process_that_ends_is_told():
    arguments = {'pictures': 2, 'processes': 1, 'share': 1, 'setup': setup, 'tell': str}
    with MetricProcesses([metric(dies)], **arguments) as processes:
        future = processes.submit((picture(), picture()))
        with pytest.raises(RunError, match='metric_processes: 0'):
            result_of(future)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp('run')
    make_dataset(root)
    opt = options(stage_iter=[1, 1], total_iter=2)
    with pytest.MonkeyPatch.context() as patch:
        assert run(opt, root=root, monkeypatch=patch) == 0
    return root, opt


def test_training_tells_the_input_in_log_and_history(trained):
    root, _ = trained
    lines = re.findall(r'psnr: ([\d.]+), input ([\d.]+), gain ([+-][\d.]+)', log_of(root))
    assert lines
    for value, before, gain in lines:
        assert float(value) - float(before) == pytest.approx(float(gain), abs=2e-4)
    rows = [json.loads(line) for line in (root / 'experiments/run/history.jsonl').read_text().splitlines()]
    assert {f'{row["input"]["psnr"]:.4f}' for row in rows} == {before for _, before, _ in lines}


def test_a_test_writes_the_input_into_table_summary_and_page(trained, monkeypatch):
    root, opt = trained
    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g')}
    test['name'] = 'test_run'
    test['datasets'] = {'test': {**opt['datasets']['val'], 'name': 'val'}}
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_latest.pth'}
    test['val'] = {'save_img': False, 'metrics': opt['val']['metrics'], 'page': True, 'metric_processes': 1}
    assert run(test, root=root, monkeypatch=monkeypatch, command='test') == 0
    summary = json.loads((root / 'results/test_run/val.json').read_text())
    history = (root / 'experiments/run/history.jsonl').read_text().splitlines()
    assert summary['metrics']['psnr']['input'] == pytest.approx(json.loads(history[-1])['input']['psnr'])
    assert summary['network']['type'] == 'AIBNet'
    assert summary['network']['parameters'] > 1000
    assert 0 < summary['network']['conv_macs'] < summary['network']['macs']
    page = (root / 'results/test_run/page_val/index.html').read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script', page, re.S).group(1))
    assert data['inputs']['psnr'] == pytest.approx(summary['metrics']['psnr']['input'])
    assert [each['inputs']['psnr'] for each in data['pictures']] == [
        pytest.approx(each['psnr_input']) for each in summary['pictures']
    ]
    assert 'measured in 1 processes' in log_of(root, 'test_run')
    test['val'].update(measure_input=False, metric_processes=0, page=False)
    assert run(test, root=root, monkeypatch=monkeypatch, command='test') == 0
    assert 'input' not in json.loads((root / 'results/test_run/val.json').read_text())['metrics']['psnr']

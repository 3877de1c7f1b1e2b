"""The script for whoever has a GPU runs to its last line on a CPU, too."""

import csv

import pytest
import torch

from tools import gpu_benchmark

TINY = ('--tiny', '--size', '32', '48', '--crop', '32', '--batches', '2', '--repeats', '1')


def test_every_case_is_measured(tmp_path, capsys):
    written = tmp_path / 'gpu.csv'
    gpu_benchmark.main([*TINY, '-o', str(written)])
    told = capsys.readouterr().out
    assert 'Self CPU time total' in told  # the table of operations
    rows = list(csv.DictReader(written.read_text().splitlines()))
    kinds = {kind: [row for row in rows if row['kind'] == kind] for kind in gpu_benchmark.KINDS}
    assert {row['network'] for row in kinds['inference']} == set(gpu_benchmark.SUB_DECODERS)
    assert {row['precision'] for row in kinds['inference']} == set(gpu_benchmark.PRECISIONS) - {'fp16'}
    assert {row['settings'] for row in kinds['training']} == set(gpu_benchmark.TRAINING) - {'bf16, compiled'}
    assert len(kinds['layouts']) == 4 * 2 * 2
    # The kernels in Triton: tests/interpreted_kernels.py has them.
    assert [row['by'] for row in kinds['kernels']] == ['torch'] * 2 * 5
    assert all(float(row['s']) > 0 and float(row['TFLOP/s']) >= 0 for row in rows)


@pytest.mark.parametrize('error', [torch.cuda.OutOfMemoryError, RuntimeError])
def test_a_case_that_does_not_fit_is_told_and_the_rest_goes_on(error, capsys, monkeypatch):
    monkeypatch.setattr(gpu_benchmark, 'SUB_DECODERS', {'AIBNet-S': 1})
    calls = []

    def fails(self, picture):
        calls.append(torch.get_float32_matmul_precision())
        raise error('no room\nfor this')

    monkeypatch.setattr(gpu_benchmark.Restorer, '__call__', fails)
    gpu_benchmark.main([*TINY, '--only', 'inference'])
    assert capsys.readouterr().out.count('no room') == 3
    assert calls == ['highest', 'high', 'high']

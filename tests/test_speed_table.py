"""The table of speed and memory: every network in a process of its own, another checkout in turn."""

import csv
from pathlib import Path

import pytest

from tools import speed_table
from tools.speed_table import Case

CASES = (
    Case('inference', 'AIBNet-S', speed_table.NAFNET),
    Case('inference', 'AdaRevD-L', both=False),
    Case('training', 'AIBNet-S', speed_table.NAFNET, 1, both=False),
)


def test_networks_and_checkouts_are_measured_and_one_that_cannot_be_is_told(tmp_path, capfd, monkeypatch):
    monkeypatch.setattr(speed_table, 'CASES', CASES)
    others = ['--before', str(Path(__file__).parents[1]), '--adarevd', str(tmp_path)]
    code = speed_table.main(['--tiny', '--threads', '1', '--repeats', '1', '-o', str(tmp_path), *others])
    out, err = capfd.readouterr()
    assert code == 1
    assert 'inference, AdaRevD-L: its process ended with exit code 1' in err
    assert 'basicsr.models.archs.AdaRevID_arch' in err
    rows = list(csv.DictReader((tmp_path / 'speed.csv').read_text().splitlines()))
    found = [(row['kind'], row['precision'], row['tree']) for row in rows]
    assert found == [
        *(('inference', precision, tree) for precision in ('float32', 'bf16') for tree in ('after', 'before')),
        *(('training', precision, 'after') for precision in ('float32', 'bf16', 'frozen bf16')),
    ]
    assert all(float(row['seconds']) > 0 and float(row['times_floor']) > 0 and row['runs'] == '1' for row in rows)
    assert len({row['gmacs'] for row in rows if row['kind'] == 'inference'}) == 1
    assert out == (tmp_path / 'speed.md').read_text()
    assert out.count('| AIBNet-S, nafnet') == 5


def test_what_there_is_no_time_for_is_told(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(speed_table, '_measured', lambda *_, **__: pytest.fail('there is no time'))
    assert speed_table.main(['--minutes', '0', '-o', str(tmp_path)]) == 1
    assert f'no time left for {len(speed_table.CASES) - 1} networks' in capsys.readouterr().err


def test_what_was_measured_before_a_stop_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(speed_table, 'CASES', CASES[::2])
    row = {'kind': 'inference', 'network': 'AIBNet-S', 'precision': 'bf16', 'tree': 'after', 'gmacs': 1.0}
    row.update(seconds=2.0, times_floor=3.0, peak_gb=4.0, gflops_float32=5, gflops_bf16=6)

    def measured(case, arguments, *, seconds):
        if case.kind == 'training':
            raise KeyboardInterrupt
        return [row]

    monkeypatch.setattr(speed_table, '_measured', measured)
    with pytest.raises(KeyboardInterrupt):
        speed_table.main(['-o', str(tmp_path)])
    assert '| AIBNet-S | bf16 | 1.0 | 2.0 | 3.0 | 4.0 |' in (tmp_path / 'speed.md').read_text()

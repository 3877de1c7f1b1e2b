"""The memory limit of `basicsr deblur`: what it chooses, and that the process keeps it."""

import gc
import math
import re
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from aibnet_arch.errors import UserError
from aibnet_arch.photos import Deblurrer, deblurring, memory, restoring
from aibnet_arch.photos.memory import LimitError, TileChooser, parse_size
from aibnet_arch.profiling import peak_memory
from tests.deblurring import network, save

BASE = 500_000_000


@pytest.mark.parametrize(
    ('text', 'size'), [('2GB', 2 * 10**9), ('2GiB', 2 * 2**30), ('1500 MB', 1500 * 10**6), ('1.5g', 1500 * 10**6)]
)
def test_amounts_of_memory(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize('text', ['2', 'GB', '-2GB', '0GB', '2 apples', ''])
def test_amounts_that_are_none_are_refused(text):
    with pytest.raises(ValueError, match='no amount of memory'):
        parse_size(text)


@pytest.fixture
def chooser(monkeypatch):
    """Makes a chooser for a network that takes so many bytes for an area; it remembers what it measured."""

    def make(limit, need=lambda area: 20_000_000 + 400 * area, smallest=128, **settings):
        measured = []
        monkeypatch.setattr(memory, 'used_memory', lambda device: BASE)
        monkeypatch.setattr(memory, 'peak_memory', lambda run, device: run())

        def restore_square(side):
            measured.append(side)
            return BASE + need(side * side)

        cpu = torch.device('cpu')
        made = TileChooser(restore_square, device=cpu, limit=limit, smallest=smallest, least_slope=100, **settings)
        made.measured, made.need = measured, need
        return made

    return make


@pytest.mark.parametrize('limit', [0.7e9, 1e9, 1.5e9, 4e9])
@pytest.mark.parametrize('held', [0, 50_000_000])
def test_the_largest_tile_within_the_limit_is_chosen(chooser, limit, held):
    tiles = chooser(limit)
    side = tiles.choose(6000, 4000, held=held)
    taken = BASE + tiles.need(side**2) + held + memory.BAND_BYTES * side * 4000
    assert 0.8 * (limit - BASE) < taken - BASE <= limit - BASE
    assert side % 16 == 0
    assert all(BASE + tiles.need(measured**2) + held <= limit for measured in tiles.measured)


def test_fixed_parts_do_not_make_tiles_too_large(chooser):
    tiles = chooser(2e9, need=lambda area: 3e8 * (1 - math.exp(-area / 50_000)) + 400 * area)
    side = tiles.choose(6000, 4000, held=0)
    assert BASE + tiles.need(side**2) < 2e9


def test_squares_that_seem_to_take_nothing_are_not_believed(chooser):
    """What they take may hide in memory that is free again."""
    tiles = chooser(2e9, need=lambda area: max(2e8, 400 * area))
    side = tiles.choose(6000, 4000, held=0)
    assert BASE + tiles.need(side**2) < 2e9


def test_a_picture_that_fits_is_restored_whole_and_measured_no_further_than_needed(chooser):
    tiles = chooser(10e9)
    assert tiles.choose(1000, 800, held=0) is None
    assert max(tiles.measured) == 128
    assert tiles.choose(5000, 4000, held=0) is None
    assert max(tiles.measured) <= 512
    assert tiles.choose(6000, 9000, held=0) is not None


def test_without_a_limit_a_cpu_has_a_largest_piece_and_measures_no_further(chooser, monkeypatch):
    monkeypatch.setattr(memory, 'available_memory', lambda device: 2 * 10_000_000_000)
    tiles = chooser(None)
    assert tiles.choose(2048, 2048, held=0) is None
    assert tiles.choose(6000, 4000, held=0) == 2048
    assert tiles.choose(2064, 2048, held=0) == 2048
    assert max(tiles.measured) <= 256
    assert chooser(10e9).choose(4000, 3000, held=0) is None


def test_without_a_limit_half_of_what_is_free_may_be_taken(chooser, monkeypatch):
    monkeypatch.setattr(memory, 'available_memory', lambda device: 2 * 500_000_000)
    assert chooser(None).limit == BASE + 500_000_000
    assert chooser(None).choose(6000, 4000, held=0) == chooser(BASE + 5e8).choose(6000, 4000, held=0) < 2048


@pytest.mark.parametrize('limit', [None, 20_000_000_000])
def test_a_deblurrers_limit_is_its_choosers(limit, monkeypatch):
    given = {}
    monkeypatch.setattr(restoring, 'TileChooser', lambda *_, **named: given.update(named))
    Deblurrer(network(), device='cpu', memory=limit)
    assert given['limit'] == limit


def test_the_next_picture_of_the_same_size_is_not_measured_for_anew(chooser):
    tiles = chooser(2e9)
    side = tiles.choose(6000, 4000, held=0)
    measured = len(tiles.measured)
    assert tiles.choose(6000, 4000, held=0) == side
    assert tiles.choose(1000, 1000, held=0) is None
    assert len(tiles.measured) == measured > 2


@pytest.mark.parametrize(('size', 'held'), [((3000, 2000), 0), ((3000, 2000), 10**8), ((100, 100_000), 10**8)])
def test_a_limit_that_is_too_low_says_the_least_that_works(chooser, size, held):
    with pytest.raises(LimitError, match='the smallest, need') as refused:
        chooser(0.5e9).choose(*size, held=held)
    least = float(re.search(r'need ([\d.]+) GB', str(refused.value)).group(1)) * 1e9
    assert chooser(least).choose(*size, held=held) == 128
    with pytest.raises(LimitError):
        chooser(least - 2e7).choose(*size, held=held)


def test_a_containers_limit_counts(tmp_path):
    assert memory._available_in_container(tmp_path) == math.inf
    (tmp_path / 'memory.max').write_text('max\n')
    assert memory._available_in_container(tmp_path) == math.inf
    (tmp_path / 'memory.max').write_text('1000\n')
    (tmp_path / 'memory.current').write_text('700\n')
    (tmp_path / 'memory.stat').write_text('anon 300\ninactive_file 200\n')
    assert memory._available_in_container(tmp_path) == 500


@pytest.mark.skipif(memory._MALLOPT is None, reason='another C library than glibc')
def test_freed_memory_is_kept_for_the_next_map():
    """In a process of its own, since it holds for the whole process."""
    code = """if True:
        import resource, torch
        from aibnet_arch.photos.memory import WHOLE_MAP_BYTES, keep_freed_memory

        def new_pages():
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            torch.zeros(25_000_000)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        print(new_pages(), new_pages())
        keep_freed_memory(WHOLE_MAP_BYTES)
        print(*[new_pages() for _ in range(6)])
    """
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    _, given_back, *_, kept = map(int, done.stdout.split())  # the next ones may still lie behind the first
    assert kept < 50 < given_back


def test_the_compiler_is_not_imported():
    """It takes two seconds and 150 MB. In a process of its own; torch itself must not have imported it."""
    code = """if True:
        import sys, torch
        before = set(sys.modules)
        from aibnet_arch.photos import Deblurrer
        Deblurrer.from_file('box')
        print(*({'torch._dynamo', 'sympy', 'triton'} & (sys.modules.keys() - before)))
    """
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ('limit', 'window', 'expected'),
    [(None, None, [memory.STRIP_BYTES]), (None, 128, [memory.WHOLE_MAP_BYTES]), (10**9, None, []), (10**9, 128, [])],
)
def test_it_is_kept_where_no_limit_is_given(limit, window, expected, tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(deblurring, 'keep_freed_memory', kept.append)
    other = SimpleNamespace(window=window, network=None, traits=SimpleNamespace(architecture='another'))
    monkeypatch.setattr(deblurring.Deblurrer, 'from_file', lambda *args, **settings: other)
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match='--blur-maps'):  # which comes after
        deblurring.deblur([str(tmp_path / 'a.png')], tmp_path / 'out', weights='a.pth', memory=limit, blur_maps=True)
    assert kept == expected


@pytest.mark.parametrize('told', [True, False], ids=['told by the system', 'sampled'])
def test_what_runs_is_measured(told, monkeypatch, tmp_path):
    if not told:
        monkeypatch.setattr(peak_memory, '_STATUS', tmp_path / 'status')

    def run():
        held = torch.ones(30_000_000)
        time.sleep(10 * peak_memory.SAMPLING_SECONDS)
        del held

    gc.collect()
    memory.release_freed_memory(torch.device('cpu'))  # what earlier tests left must not go in between
    base = memory.used_memory(torch.device('cpu'))
    assert memory.peak_memory(run, torch.device('cpu')) - base == pytest.approx(120_000_000, rel=0.2)


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='reads the peak as Linux tells it')
def test_the_process_keeps_the_limit(tmp_path):
    """Not much more than the least that the command says makes tiles of a picture, and the peak is below it."""
    weights = save(network(), tmp_path / 'net.pth')
    rows, columns = np.mgrid[:800, :1200]
    pixels = np.stack([rows, columns, rows + columns], axis=2).astype(np.uint16) * 32
    assert cv2.imwrite(str(tmp_path / 'x.png'), pixels)

    def run(limit):
        code = (
            'import sys; from aibnet_arch.commands.main import main; code = main(sys.argv[1:]); '
            'print(open("/proc/self/status").read()); sys.exit(code)'
        )
        command = [sys.executable, '-c', code, 'deblur', 'x.png', '-o', 'out', '--overwrite']
        command += ['--weights', weights, '--device', 'cpu', '--memory', limit]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    refused = run('1MB')
    assert refused.returncode == 2
    limit = float(re.search(r'need ([\d.]+) GB', refused.stderr).group(1)) + 0.12
    done = run(f'{limit:.2f}GB')
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'tiles of' in done.stdout
    assert int(re.search(r'VmHWM:\s*(\d+)', done.stdout).group(1)) * 1024 <= limit * 1e9

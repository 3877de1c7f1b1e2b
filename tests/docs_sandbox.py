"""A folder in which the commands of the docs run as they stand: small archives, weights and option files."""

import re
import shlex
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import cv2
import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main
from aibnet_arch.registries.other_networks import OTHER_NETWORKS
from aibnet_arch.weights.weight_file import WeightFile, write_weight_file
from datasets_prep.lmdb_writer import write_pairs
from datasets_prep.pairs import Pair
from tests.mini_checkouts import make_modern, make_older
from tests.prep_trees import (
    bsd_tree,
    gopro_tree,
    hide_tree,
    picture,
    realblur_tree,
    reds_tree,
    reloblur_tree,
    rsblur_tree,
    save,
)
from tests.training import reset_logger

REPOSITORY = Path(__file__).parent.parent
SMALL = {'encoder': 'nafnet', 'width': 8, 'encoder_blocks': [1, 1, 1, 1], 'blocks_per_level': 1}
_NAFNET = {'width': 8, 'enc_blk_nums': [1, 1, 1, 1], 'middle_blk_num': 1, 'dec_blk_nums': [1, 1, 1, 1]}
SMALL_NETWORKS = {
    'AIBNet': SMALL,
    'NAFNet': _NAFNET,
    'NAFNetLocal': _NAFNET,
    'Restormer': {'dim': 8, 'num_blocks': [1, 1, 1, 1], 'num_refinement_blocks': 1, 'heads': [1, 1, 1, 1]},
}
# What would take long, and what takes its place; a limit of memory also counts what the tests' own process holds.
SHORTER = {
    '--memory 2GB': '--memory 8GB',
    '--count 40': '--count 1 --total-iter 6 --longest 1',
    '--count 100 --signal TERM --group': '--count 1 --signal TERM',
    '--total-iter 700 --longest 2.5': '--total-iter 200 --longest 0',
    '--size 256 256': '--size 32 32',
    '--seeds 0 1 2': '--seeds 0',
    'tools.preparation_benchmark': 'tools.preparation_benchmark --pairs 2 --repeats 1',
    'tools.gpu_benchmark': 'tools.gpu_benchmark --tiny --size 32 48 --crop 32 --batches 2 --repeats 1 --only layouts',
    'metric_benchmark': 'metric_benchmark --repeats 1',
}
# These need a network, several machines, or minutes; the app serves until it is stopped.
NOT_HERE = (
    'basicsr app',
    'python -m datasets_prep.small',
    'python -m datasets_prep.box',
    'python -m tools.elastic_trial',
    'python -m tools.torchrun_trial',
    'torchrun --nnodes',
)
# Words that stand for something: such a line tells the usage.
USAGE = {'FILE', 'INPUT...', 'OUT', 'CHECKOUT', 'LQ', 'GT'}
PROGRAMS = r'(?:basicsr|python -m|torchrun) '


def commands(page: Path) -> list[str]:
    """The commands in the page's blocks, and those in its tables that stand alone in a cell."""
    text = page.read_text().replace('\\\n', ' ')
    blocks = '\n'.join(re.findall(r'^```bash\n(.*?)^```', text, re.MULTILINE | re.DOTALL))
    lines = re.findall(rf'^{PROGRAMS}.*', blocks, re.MULTILINE)
    lines += re.findall(rf'^ {{4,}}({PROGRAMS}.*)', text, re.MULTILINE)
    lines += re.findall(rf'^\|[^`\n]*\| `({PROGRAMS}[^`]*)` \|', text, re.MULTILINE)
    lines = [line.partition(' #')[0].strip() for line in lines]
    return [line for line in lines if not line.startswith(NOT_HERE) and not USAGE & set(line.split())]


def make_sandbox(root: Path) -> None:
    """Everything that the docs' commands name and that a user would bring."""
    gopro_tree(root / 'GOPRO_Large', train=1, test=1, height=512, width=512)  # the size of the crops
    gopro_tree(root / 'smaller', train=1, test=1, height=256, width=256)
    shutil.rmtree(root / 'GOPRO_Large' / 'test')
    (root / 'smaller' / 'test').rename(root / 'GOPRO_Large' / 'test')
    hide_tree(root / 'HIDE_dataset', count=1)
    for subset in 'JR':
        realblur_tree(root / 'RealBlur', subset=subset, train=1, test=1)
    rsblur_tree(root / 'zipped', lists=root / 'RSBlur/datalist/RSBlur', count=1, height=256, width=256)
    shutil.make_archive(str(root / 'RSBlur'), 'zip', root / 'zipped')
    reloblur_tree(root / 'ReLoBlur', masks=root / 'ReLoBlur', count=1)
    reds_tree(root / 'REDS', clips=1, frames=10)
    bsd_tree(root / 'BSD', exposure='3ms24ms', frames=1)
    for folder, size in (('blurred', 512), ('sharp', 512), ('blurred_val', 64), ('sharp_val', 64)):
        for number in range(2):
            save(root / 'my' / folder / f'{number}.png', picture(number, height=size, width=size))
    for lq, gt in ('train/blur_crops', 'train/sharp_crops'), ('test/input', 'test/target'):
        pairs = [Pair(str(n), picture(n, height=32, width=32), picture(n, height=32, width=32)) for n in range(2)]
        write_pairs(pairs, *(root / f'datasets/small/{name}.lmdb' for name in (lq, gt)), workers=1, progress=False)
    _own_pictures(root)
    make_older(root / 'path/to/NAFNet', kind='nafnet')
    make_older(root / 'path/to/Restormer', kind='restormer')
    make_modern(root / 'path/to/BasicSR')
    _weights(root / 'weights' / 'UFPNet-GoPro.pth')
    network = OTHER_NETWORKS['NAFNet'].cls()(**_NAFNET)
    for name in ('NAFNet', 'NAFNet-GoPro-width64'):
        torch.save({'params': network.state_dict()}, root / f'{name}.pth')
    for path in (REPOSITORY / 'options').rglob('*.yml'):
        copy = root / 'options' / path.relative_to(REPOSITORY / 'options')
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(yaml.safe_dump(_shrunk(yaml.safe_load(path.read_text())), sort_keys=False))
    demo = (root / 'options/AIBNet_demo.yml').read_text()
    for name in 'ab':
        (root / f'options/{name}.yml').write_text(demo.replace('name: AIBNet-demo', f'name: {name}'))


def _own_pictures(root: Path) -> None:
    for name in ('photo.jpg', 'photos/a.png', 'holiday/day1/a.jpg', 'scans/letter.tif'):
        save(root / name, picture(0, height=40, width=60))
    video = cv2.VideoWriter(str(root / 'clip.mp4'), cv2.VideoWriter.fourcc(*'mp4v'), 25, (64, 48))
    for frame in range(2):
        video.write(picture(frame, height=48, width=64))
    video.release()
    for frame in range(14):
        save(root / f'clips/clip/{frame:04d}.png', picture(frame % 7, height=48, width=64))


def _weights(path: Path) -> None:
    """The published layout of an encoder of the small network, with entries that AIBNet drops."""
    encoder = AIBNet(**SMALL).encoder
    state = {**encoder.state_dict(), 'ending.weight': torch.zeros(3, 8, 3, 3)}
    path.parent.mkdir()
    torch.save({'params': state}, path)
    state = AIBNet(**SMALL).state_dict()
    torch.save({'params': state}, path.parent.parent / 'net_g_latest.pth')
    torch.save({'params': state, 'params_ema': state}, path.parent.parent / 'with_ema.pth')
    write_weight_file(path.parent.parent / 'shipped.safetensors', WeightFile(entries={'params': state}))


def _shrunk(opt: dict) -> dict:
    """The options for a network and a run of seconds; the names of files stay. Of a study's plan, a few runs."""
    if 'runs' in opt:
        opt.pop('claims', None)  # of runs that are left out
        return {**opt, 'seeds': [0], 'runs': [opt['runs'][0], *opt['runs'][-2:]]}
    opt['num_gpu'] = 0
    network = opt['network_g']
    network.update(SMALL_NETWORKS.get(network['type'], {}))
    for phase, dataset in opt['datasets'].items():
        if phase == 'train':
            dataset.update(gt_size=16, batch_size_per_gpu=2, num_worker_per_gpu=0, dataset_enlarge_ratio=16)
            if 'iters' in dataset:
                dataset.update(iters=[1, 1], gt_sizes=[8, 16], mini_batch_sizes=[2, 2])
    if 'train' in opt:
        train = opt['train']
        stages = train.get('stage_iter') or [1]
        total = sum(2 if length else 0 for length in stages)
        train['total_iter'] = total
        if 'stage_iter' in train:
            train['stage_iter'] = [2 if length else 0 for length in stages]
        if 'periods' in train['scheduler']:
            train['scheduler']['periods'] = [total]
        opt['val']['val_freq'] = total
        opt['logger'].update(print_freq=1, save_checkpoint_freq=1, use_tb_logger=False)
    opt['val'].pop('window', None)
    return opt


def run(command: str) -> int:
    """Run a line of the docs in the current directory; return the exit code."""
    for long, short in SHORTER.items():
        command = command.replace(long, short)
    program, *arguments = shlex.split(command)
    if program == 'basicsr':
        reset_logger()
        return main(arguments)
    if program == 'python' and arguments[0] == '-m':
        return _run_module(arguments[1], arguments[2:])
    if program == 'torchrun':
        return subprocess.run([sys.executable, '-m', 'torch.distributed.run', *arguments], check=False).returncode
    pytest.fail(f'a command that this test does not know: {command}')


def _run_module(module: str, arguments: list[str]) -> int:
    """As `python -m`, but in this process, where the counts of the archives can be other ones."""
    if module == 'pytest':
        pytest.fail('the docs must not start the tests anew')
    reset_logger()
    return import_module(module).main(arguments) or 0

"""Datasets with one fault each: refused before training, the place named, nothing made."""

import shutil

import cv2
import lmdb
import numpy as np
import pytest

from tests.training import make_dataset, options, run

LQ, GT, VAL = 'data/train/lq.lmdb', 'data/train/gt.lmdb', 'data/val/gt.lmdb'


@pytest.fixture(scope='module')
def prepared(tmp_path_factory):
    """Pairs in LMDBs, and the training pairs as folders, too."""
    root = tmp_path_factory.mktemp('prepared')
    make_dataset(root, train=6)
    for side in ('lq', 'gt'):
        folder = root / 'data/folders' / side
        folder.mkdir(parents=True)
        with lmdb.open(str(root / f'data/train/{side}.lmdb'), readonly=True, lock=False) as env, env.begin() as stored:
            for key, value in stored.cursor():
                (folder / f'{key.decode()}.png').write_bytes(value)
    return root


@pytest.fixture
def root(prepared, tmp_path):
    shutil.copytree(prepared / 'data', tmp_path / 'data')
    return tmp_path


def store(root, path, key, value):
    with lmdb.open(str(root / path)) as env, env.begin(write=True) as transaction:
        transaction.put(key.encode(), value) if value is not None else transaction.delete(key.encode())


def png(height, width):
    return cv2.imencode('.png', np.zeros((height, width, 3), np.uint8))[1].tobytes()


def edit(root, path, old, new):
    file = root / path / 'meta_info.txt'
    file.write_text(file.read_text().replace(old, new))


def in_folders(root, opt):
    opt['datasets']['train'].update(
        dataroot_lq='data/folders/lq', dataroot_gt='data/folders/gt', io_backend={'type': 'disk'}
    )


def disk(change):
    def both(root, opt):
        in_folders(root, opt)
        change(root)

    return both


def listed(text):
    """Folders, with the pictures of a list alone."""

    def change(root, opt):
        in_folders(root, opt)
        opt['datasets']['train']['meta_info_file'] = 'list.txt'
        if text is not None:
            (root / 'list.txt').write_text(text)

    return change


def single(opt):
    opt['datasets']['val'] = {
        'name': 'single',
        'type': 'SingleImageDataset',
        'dataroot_lq': 'data/folders/lq',
        'io_backend': {'type': 'disk'},
    }


WRONG = {
    'no folder': (lambda root, opt: shutil.rmtree(root / LQ), f'datasets.train.dataroot_lq: there is no {LQ}'),
    'no data.mdb': (lambda root, opt: (root / GT / 'data.mdb').unlink(), f'{GT} has no data.mdb'),
    'no meta_info.txt': (lambda root, opt: (root / VAL / 'meta_info.txt').unlink(), f'{VAL} has no meta_info.txt'),
    'neither': (lambda root, opt: [p.unlink() for p in (root / LQ).iterdir()], 'has no data.mdb and no meta_info.txt'),
    'empty meta_info.txt': (
        lambda root, opt: (root / LQ / 'meta_info.txt').write_text(''),
        '6 keys of data/train/gt.lmdb have no partner: p0',
    ),
    'both empty': (
        lambda root, opt: [(root / p / 'meta_info.txt').write_text('') for p in (LQ, GT)],
        'holds no pictures',
    ),
    'garbage in meta_info.txt': (
        lambda root, opt: (root / LQ / 'meta_info.txt').write_text('garbage'),
        'meta_info.txt is damaged, or a key has a dot or is not ASCII (line 1',
    ),
    'a dot in a key': (lambda root, opt: edit(root, LQ, 'p3.png', 'p.3.png'), "(line 4: 'p.3.png"),
    'another key': (
        lambda root, opt: edit(root, LQ, 'p3.png', 'q3.png'),
        '1 keys of data/train/lq.lmdb have no partner: q3',
    ),
    'a key too many': (
        lambda root, opt: edit(root, GT, 'p3.png', 'p3x.png'),
        '1 keys of data/train/gt.lmdb have no partner: p3x',
    ),
    'a damaged picture': (
        lambda root, opt: store(root, GT, 'p2', b'no picture'),
        f'in {GT} 1 pictures are damaged: p2 (does not decode)',
    ),
    'an empty picture': (lambda root, opt: store(root, LQ, 'p2', b''), 'p2 (does not decode)'),
    'a cut picture': (lambda root, opt: store(root, VAL, 'p1', png(40, 40)[:50]), 'p1 (does not decode)'),
    'a picture that is not stored': (
        lambda root, opt: store(root, LQ, 'p4', None),
        'p4 (listed in meta_info.txt, but not stored)',
    ),
    'a picture of another size': (
        lambda root, opt: store(root, GT, 'p0', png(32, 48)),
        'p0 ((32, 48), but (40, 40) in meta_info.txt)',
    ),
    'data.mdb of something else': (
        lambda root, opt: (root / LQ / 'data.mdb').write_bytes(b'x' * 5000),
        f'in {LQ} 1 pictures are damaged: all of them',
    ),
    'data.mdb cut short': (lambda root, opt: (root / LQ / 'data.mdb').write_bytes(b''), 'are damaged'),
    'sizes that differ': (
        lambda root, opt: edit(root, GT, 'p1.png (40,40,3)', 'p1.png (40,44,3)'),
        '1 pairs differ in size (scale 1): p1 (lq (40, 40), gt (40, 44))',
    ),
    'scale': (lambda root, opt: opt.update(scale=2), '6 pairs differ in size (scale 2)'),
    'smaller than the crop': (
        lambda root, opt: opt['datasets']['train'].update(gt_size=64),
        '6 pictures are smaller: p0 (40, 40)',
    ),
    'fewer than a batch': (
        lambda root, opt: opt['datasets']['train'].update(batch_size_per_gpu=8),
        'an iteration takes 8 images, but 6 pictures make less than one batch',
    ),
    'no LMDB': (lambda root, opt: opt['datasets']['val'].update(dataroot_gt='data/val'), 'must end in .lmdb'),
    'no paired sets': (
        lambda root, opt: opt['datasets']['val'].update(dataroot_gt=GT),
        f'keys of {GT} have no partner',
    ),
    'folder: not there': (
        lambda root, opt: (in_folders(root, opt), shutil.rmtree(root / 'data/folders/lq')),
        'there is no data/folders/lq',
    ),
    'folder: a file': (
        disk(lambda root: (shutil.rmtree(root / 'data/folders/lq'), (root / 'data/folders/lq').write_text(''))),
        'data/folders/lq is no folder',
    ),
    'folder: empty': (
        disk(lambda root: [p.unlink() for p in (root / 'data/folders/gt').iterdir()]),
        'data/folders/gt holds no pictures',
    ),
    'folder: another name': (
        disk(lambda root: (root / 'data/folders/lq/p1.png').rename(root / 'data/folders/lq/x.png')),
        '1 keys of data/folders/lq have no partner: x',
    ),
    'folder: damaged': (
        disk(lambda root: (root / 'data/folders/gt/p1.png').write_text('text')),
        'p1.png (does not decode)',
    ),
    'folder: sizes': (
        disk(lambda root: (root / 'data/folders/gt/p1.png').write_bytes(png(40, 48))),
        '1 pairs differ in size (scale 1): p1',
    ),
    'a key that is not ASCII': (
        lambda root, opt: edit(root, LQ, 'p3.png', 'pä.png'),
        'a key has a dot or is not ASCII',
    ),
    'crop and scale': (lambda root, opt: opt.update(scale=3), 'datasets.train.gt_size: 32 is no multiple of scale (3)'),
    'fewer than a batch of a part': (
        lambda root, opt: opt['datasets']['train'].update(batch_size_per_gpu=7, dataset_enlarge_ratio=0.5),
        'enlarged 0.5 times',
    ),
    'folder: another ending': (
        disk(lambda root: (root / 'data/folders/lq/p1.png').rename(root / 'data/folders/lq/p1.jpg')),
        '1 keys of data/folders/lq have no partner: p1.jpg',
    ),
    'folder: template': (
        lambda root, opt: (in_folders(root, opt), opt['datasets']['train'].update(filename_tmpl='{}x4')),
        '6 keys of data/folders/gt have no partner: p0.png',
    ),
    'folder: odd template': (
        lambda root, opt: (in_folders(root, opt), opt['datasets']['train'].update(filename_tmpl='{1}')),
        "datasets.train.filename_tmpl: '{1}'",
    ),
    'folder: no list': (listed(None), 'datasets.train.meta_info_file: list.txt cannot be read'),
    'folder: a list of what is not there': (
        listed('p0.png (40,40,3)\np9.png (40,40,3)\n'),
        'data/folders/gt has no p9.png, which list.txt lists',
    ),
    'folder: an empty line in the list': (listed('p0.png\n\np1.png\n'), 'line 2 of list.txt is empty'),
    'folder: an empty list': (listed(''), 'holds no pictures'),
    'other dataset: empty': (
        lambda root, opt: (single(opt), [p.unlink() for p in (root / 'data/folders/lq').iterdir()]),
        'datasets.val: data/folders/lq holds no pictures',
    ),
    'other dataset: no list': (
        lambda root, opt: (single(opt), opt['datasets']['val'].update(meta_info_file='list.txt')),
        'datasets.val: SingleImageDataset cannot be made with these options: FileNotFoundError',
    ),
    'folder: a text among them': (
        disk(lambda root: (root / 'data/folders/gt/readme.txt').write_text('text')),
        'have no partner: readme',
    ),
}


@pytest.mark.parametrize('fault', WRONG)
def test_wrong_data_are_refused_before_anything_is_made(fault, root, monkeypatch, capsys):
    change, message = WRONG[fault]
    opt = options()
    change(root, opt)
    for command in ('train', 'check'):
        assert run(opt, root=root, monkeypatch=monkeypatch, command=command) == 2
        told = capsys.readouterr().err
        assert message in told
        assert 'Traceback' not in told
    assert not (root / 'experiments').exists()
    assert not (root / 'tb_logger').exists()


def test_a_fault_beyond_the_sample_is_found_on_request(tmp_path, monkeypatch, capsys):
    make_dataset(tmp_path, train=25)
    store(tmp_path, GT, 'p3', b'no picture')
    assert run(options(), root=tmp_path, monkeypatch=monkeypatch, command='check') == 0
    assert run(options(), root=tmp_path, monkeypatch=monkeypatch, command='check', flags=('--decode', 'all')) == 2
    assert 'p3 (does not decode)' in capsys.readouterr().err


@pytest.mark.parametrize(('workers', 'prefetch'), [(0, None), (0, 'cpu'), (2, None), (2, 'cpu')])
def test_a_fault_met_in_training_names_dataset_key_and_file_and_does_not_hang(
    workers, prefetch, tmp_path, monkeypatch, capsys
):
    make_dataset(tmp_path, train=25)
    store(tmp_path, GT, 'p3', b'no picture')
    opt = options()
    opt['datasets']['train'].update(num_worker_per_gpu=workers, prefetch_mode=prefetch)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 1
    told = capsys.readouterr().err
    assert 'Traceback' not in told
    assert "\nbasicsr train: dataset 'train': sample " in f'\n{told}'
    for word in ("dataset 'train'", 'p3', GT, 'basicsr check'):
        assert word in told


def test_good_folders_are_fine(root, monkeypatch):
    opt = options(stage_iter=[1, 1], total_iter=2)
    in_folders(root, opt)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 0


def test_other_names_are_fine(root, monkeypatch, capsys):
    """Keys with blanks in LMDBs, templates and lists in folders: what BasicSR reads is not refused."""
    for path in (LQ, GT):
        with lmdb.open(str(root / path)) as env, env.begin(write=True) as transaction:
            transaction.put(b'p 3', transaction.pop(b'p3'))
        edit(root, path, 'p3.png', 'p 3.png')
    opt = options()
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check', flags=('--decode', 'all')) == 0
    for picture in (root / 'data/folders/lq').iterdir():
        picture.rename(picture.with_name(f'{picture.stem}_lq.png'))
    (root / 'data/folders/lq/stray.txt').write_text('not in the list')
    listed(''.join(f'p{number}.png (40,40,3)\n' for number in range(6)))(root, opt)
    opt['datasets']['train']['filename_tmpl'] = '{}_lq'
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check', flags=('--decode', 'all')) == 0


def test_what_is_left_over_in_validation_is_fine(root, monkeypatch):
    """Of gt, BasicSR cuts what is no multiple of the scale, but not in training."""
    opt = options()
    opt['scale'] = 3
    del opt['datasets']['train'], opt['train'], opt['logger'], opt['val']['val_freq']
    in_folders(root, {'datasets': {'train': opt['datasets']['val']}})
    for picture in (root / 'data/folders/lq').iterdir():
        picture.write_bytes(png(13, 13))  # gt is 40 x 40
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == 0


def test_two_processes_share_a_batch(root, monkeypatch, capsys):
    opt = options()
    opt['datasets']['train']['batch_size_per_gpu'] = 3
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == 0
    opt['datasets']['train']['batch_size_per_gpu'] = 4
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == 2
    assert 'an iteration takes 8 images, but 6 pictures' in capsys.readouterr().err

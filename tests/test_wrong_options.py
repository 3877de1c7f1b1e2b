"""Option files with one fault each: refused before training, the place named, nothing made, nothing moved."""

import pytest
import torch
import yaml

from aibnet_arch import AIBNet
from aibnet_arch.commands.main import main
from aibnet_arch.modeling.signature import KEY
from tests.training import NETWORK, make_dataset, options, reset_logger, run


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    """Data, and the folders of a former run that nothing may touch."""
    root = tmp_path_factory.mktemp('wrong')
    make_dataset(root)
    for folder in ('experiments/run', 'tb_logger/run'):
        (root / folder).mkdir(parents=True)
        (root / folder / 'precious').write_text('days of training')
    torch.save({'params': {'weight': torch.ones(2)}}, root / 'other.pth')
    torch.save({'something': torch.ones(2), 'else': {}}, root / 'keyless.pth')
    torch.save({'weight': torch.ones(2)}, root / 'bare.pth')
    state = AIBNet(**{key: value for key, value in NETWORK.items() if key != 'type'}).state_dict()
    torch.save({'params': {key: value for key, value in state.items() if key != KEY}}, root / 'unsigned.pth')
    state['encoder.intro.bias'][0] = float('nan')
    torch.save({'params': state}, root / 'lost.pth')
    state['encoder.intro.bias'] = torch.empty(8, device='meta')
    torch.save({'params': state}, root / 'shapes.pth')
    (root / 'cut.pth').write_bytes((root / 'other.pth').read_bytes()[:300])
    return root


def everything(root):
    return sorted(path for path in root.rglob('*') if path.name != 'opt.yml')


def rename(section, old, new):
    def change(opt):
        for key in section:
            opt = opt[key]
        opt[new] = opt.pop(old)

    return change


def put(place, value):
    *section, last = place.split('.')

    def change(opt):
        for key in section:
            opt = opt[key]
        opt[last] = value

    return change


def drop(place):
    *section, last = place.split('.')

    def change(opt):
        for key in section:
            opt = opt[key]
        del opt[last]

    return change


def foreign(**changes):
    """The options of SRModel with one of BasicSR's networks, with changes."""

    def change(opt):
        opt['model_type'] = 'SRModel'
        opt['network_g'] = {
            'type': 'ECBSR',
            'num_in_ch': 3,
            'num_out_ch': 3,
            'num_block': 1,
            'num_channel': 4,
            'with_idt': False,
            'act_type': 'relu',
            'scale': 1,
        }
        del opt['train']['stage_iter']
        opt['train']['pixel_opt'] = {'type': 'L1Loss'}
        opt['train']['scheduler'].update(periods=[9], restart_weights=[1])
        for place, value in changes.items():
            put(place.replace('__', '.'), value)(opt)

    return change


WRONG = {
    # Keys that nothing reads
    'a key of the top level': (
        rename((), 'manual_seed', 'manual_sed'),
        "manual_sed: nothing reads this key (did you mean 'manual_seed'?)",
    ),
    'a key of train': (
        put('train.ema_decayy', 0.9),
        "train.ema_decayy: nothing reads this key (did you mean 'ema_decay'?)",
    ),
    'warmup': (
        put('train.warmup_iters', 5),
        "train.warmup_iters: nothing reads this key (did you mean 'warmup_iter'?)",
    ),
    'a key of val': (put('val.pbarr', True), "val.pbarr: nothing reads this key (did you mean 'pbar'?)"),
    'a key of logger': (put('logger.keep_checkpoint', 3), "did you mean 'keep_checkpoints'?"),
    'a key of wandb': (
        put('logger.wandb', {'projekt': 'x'}),
        "logger.wandb.projekt: nothing reads this key (did you mean 'project'?)",
    ),
    'a key of path': (
        put('path.pretrained_network_g', 'x.pth'),
        "path.pretrained_network_g: nothing reads this key (did you mean 'pretrain_network_g'?)",
    ),
    'a path of no network': (put('path.param_key_d', 'params'), 'path.param_key_d: nothing reads this key'),
    'a key of a dataset': (
        put('datasets.train.use_hflp', True),
        "datasets.train.use_hflp: nothing reads this key (did you mean 'use_hflip'?)",
    ),
    'a key of the backend': (
        put('datasets.val.io_backend', {'type': 'lmdb', 'readonyl': True}),
        "datasets.val.io_backend.readonyl: nothing reads this key (did you mean 'readonly'?)",
    ),
    'a key of another model class': (foreign(train__strategyy='direct'), 'train.strategyy: nothing reads this key'),
    'total_iters': (
        rename(('train',), 'total_iter', 'total_iters'),
        "train.total_iters: nothing reads this key (did you mean 'total_iter'?)\n",
    ),
    'a key of another section': (
        put('train.val_freq', 3),
        'train.val_freq: nothing reads this key (it belongs below val)',
    ),
    'a key one level too high': (put('train.lr', 1e-3), 'train.lr: nothing reads this key'),
    'a key of a dataset at the top': (
        put('gt_size', 32),
        'gt_size: nothing reads this key (it belongs below a dataset)',
    ),
    'a key of another dataset class': (
        put('datasets.train.type', 'PairedImageDataset'),
        'datasets.train.use_vflip: nothing reads this key',
    ),
    'an option of AIBNetModel': (foreign(train__stage_iter=[9]), 'train.stage_iter: nothing reads this key'),
    'a network that nothing trains': (
        put('network_d', {'type': 'VGGStyleDiscriminator', 'num_in_ch': 3, 'num_feat': 4}),
        'network_d: nothing reads this key',
    ),
    'a key of dist_params': (
        put('dist_params', {'prot': 29500}),
        "dist_params.prot: nothing reads this key (did you mean 'port'?)",
    ),
    'a key that is a number': (lambda opt: opt['train'].update({5: 1}), 'train.5: the key 5 is no text'),
    # Names
    'model': (put('model_type', 'AIBNetModell'), "did you mean 'AIBNetModel'?"),
    'network': (
        put('network_g.type', 'AIBNett'),
        "network_g.type: 'AIBNett' is not registered (did you mean 'AIBNet'?)",
    ),
    'dataset class': (put('datasets.train.type', 'PairedFlipDatset'), "did you mean 'PairedFlipDataset'?"),
    'metric': (put('val.metrics.psnr.type', 'calculate_psnrr'), "did you mean 'calculate_psnr'?"),
    'loss': (put('train.pixel_opt.type', 'AIBLoss'), "did you mean 'AIBNetLoss'?"),
    'optimizer': (put('train.optim_g.type', 'Adamm'), "did you mean 'Adam'?"),
    'scheduler': (put('train.scheduler.type', 'Cosine'), 'expected one of CosineAnnealingRestartLR'),
    'phase': (rename(('datasets',), 'val', 'tset'), 'datasets.tset'),
    'prefetch mode': (put('datasets.train.prefetch_mode', 'gpu'), "prefetch_mode: 'gpu'"),
    'a backend': (put('datasets.train.io_backend', {'type': 'lmbd'}), 'expected {type: lmdb}'),
    # Arguments
    'argument of the network': (
        rename(('network_g',), 'width', 'widht'),
        "network_g.widht: AIBNet has no such option (did you mean 'width'?)",
    ),
    'argument of the loss': (put('train.pixel_opt.edge_wieght', 1), "did you mean 'edge_weight'?"),
    'argument of the metric': (put('val.metrics.psnr.crop_bordr', 1), "did you mean 'crop_border'?"),
    'argument of the optimizer': (put('train.optim_g.betaz', 1), "did you mean 'betas'?"),
    'argument of the scheduler': (put('train.scheduler.eta_mi', 1), "did you mean 'eta_min'?"),
    'width': (put('network_g.width', 7), 'decoupler_groups=8 does not divide the 7'),
    'blocks': (put('network_g.encoder_blocks', [1, 1]), 'expected 4 numbers'),
    'a network that cannot be built': (foreign(network_g__act_type='softmaxx'), 'network_g: ECBSR cannot be built'),
    'betas': (
        put('train.optim_g.betas', [0.9, 1.5]),
        'train.optim_g.betas: [0.9, 1.5]: expected two numbers from 0 to below 1',
    ),
    'a loss out of range': (
        foreign(train__pixel_opt={'type': 'L1Loss', 'reduction': 'average'}),
        'train.pixel_opt: L1Loss refuses these options',
    ),
    'metric without its argument': (drop('val.metrics.psnr.crop_border'), 'val.metrics.psnr.crop_border is missing'),
    # Types and ranges
    'text for a number': (put('train.optim_g.lr', '2e-x'), "train.optim_g.lr: '2e-x'"),
    'text for a size': (put('datasets.train.gt_size', '32'), "datasets.train.gt_size: '32': expected a whole number"),
    'text for a switch': (put('datasets.train.use_hflip', 'yes please'), 'datasets.train.use_hflip'),
    'number for a switch': (put('val.save_img', 1), 'val.save_img: 1: expected true or false'),
    'zero': (put('val.val_freq', 0), 'val.val_freq: 0'),
    'text for a frequency': (put('logger.print_freq', 'often'), "logger.print_freq: 'often'"),
    'ema': (put('train.ema_decay', 1.5), 'train.ema_decay: 1.5: expected a number from 0 to below 1'),
    'clipping': (put('train.grad_clip', 0), 'train.grad_clip: 0: expected a number above 0'),
    'workers': (put('datasets.train.num_worker_per_gpu', -1), 'datasets.train.num_worker_per_gpu: -1'),
    'seed': (put('manual_seed', 'ten'), "manual_seed: 'ten'"),
    'better': (put('val.metrics.psnr.better', 'more'), "val.metrics.psnr.better: 'more': expected higher or lower"),
    'devices': (put('num_gpu', 'two'), "num_gpu: 'two'"),
    'too many devices': (put('num_gpu', 99), 'num_gpu: 99, but'),
    'a slash': (put('name', 'a/b'), 'no slash'),
    'a list for a section': (put('train', [1, 2]), 'train: expected keys and values'),
    'a path that is a number': (put('path.pretrain_network_g', 5), 'path.pretrain_network_g: 5: expected a text'),
    'precision': (put('train.amp', 'half'), "train.amp: 'half': expected bf16"),
    'stop after no sub-decoder': (put('val.up_to', 3), 'val.up_to: 3: the network has sub-decoders 1 to 2'),
    'infinitely many iterations': (
        put('train.total_iter', float('inf')),
        'train.total_iter: inf: expected a whole number',
    ),
    'a crop of 32.0': (put('datasets.train.gt_size', 32.0), 'datasets.train.gt_size: 32.0: expected a whole number'),
    'no ema': (put('train.ema_decay', None), 'train.ema_decay: None: expected a number'),
    'no warmup': (
        put('train.warmup_iter', None),
        'train.warmup_iter: None: expected a whole number of iterations, or -1',
    ),
    'strictness': (put('path.strict_load_g', None), 'path.strict_load_g: None: expected true or false'),
    'no crop_border': (put('val.metrics.psnr.crop_border', None), 'val.metrics.psnr.crop_border: None'),
    'metrics as a list': (put('val.metrics', ['psnr']), 'val.metrics: expected keys and values'),
    'wandb as a name': (put('logger.wandb', 'mine'), "logger.wandb: expected keys and values, found 'mine'"),
    'wandb alone': (put('logger.wandb', {'project': 'mine'}), 'logger.wandb.project needs logger.use_tb_logger: true'),
    'a scheduler as a name': (put('train.scheduler', 'CosineAnnealingRestartLR'), 'train.scheduler: '),
    'milestones': (
        put('train.scheduler', {'type': 'MultiStepLR', 'milestones': 5}),
        'train.scheduler.milestones: 5: expected a list',
    ),
    'a negative width': (put('network_g.width', -8), 'network_g: AIBNet cannot be built'),
    'datasets as a number': (put('datasets', 5), 'datasets: expected keys and values'),
    'a dataset as a path': (put('datasets.val', 'data/val'), 'datasets.val: expected keys and values'),
    'a type that is a list': (put('model_type', ['AIBNetModel']), 'model_type: '),
    # Names of files and folders
    'a name that is a folder': (put('name', '..'), "name: '..': expected a text that can name a file"),
    'a name of this folder': (put('name', '.'), "name: '.': expected a text that can name a file"),
    'a name too long': (put('name', 'x' * 300), 'up to 200 bytes'),
    'a zero byte': (put('datasets.train.dataroot_lq', 'a\0b'), "datasets.train.dataroot_lq: 'a\\x00b'"),
    'a folder of nobody': (put('datasets.train.dataroot_lq', '~nobodyhere/x'), 'there is no ~nobodyhere/x'),
    'weights of nobody': (put('path.pretrain_network_g', '~nobodyhere/x'), 'there is no file ~nobodyhere/x'),
    'a path too long': (put('path.resume_state', 'y' * 5000), 'path.resume_state: there is no file yyy'),
    'a file for a folder': (
        put('path.experiments_root', 'other.pth/x'),
        'path.experiments_root: other.pth is in the way',
    ),
    'a dataset named as a path': (
        put('datasets.val.name', '../val'),
        "datasets.val.name: '../val': expected a text that can name a file",
    ),
    'a suffix that is a path': (put('val.suffix', '../x'), "val.suffix: '../x': expected a text that can name a file"),
    # What only a try shows
    'a seed beyond numpy': (put('manual_seed', 2**40), 'expected a whole number from 0 to 2147483647'),
    'a number beyond floats': (put('train.optim_g.lr', 10**400), 'expected a number above 0'),
    'an epoch beyond the memory': (put('datasets.train.dataset_enlarge_ratio', 1e12), 'more than 1e+08'),
    'an infinite epoch': (put('datasets.train.dataset_enlarge_ratio', 1e308), 'an epoch of inf samples'),
    'keeping 5.0': (put('logger.keep_checkpoints', 5.0), 'logger.keep_checkpoints: 5.0: expected a whole number'),
    'an order of axes': (
        put('val.metrics.psnr.input_order', 'XYZ'),
        'val.metrics.psnr: calculate_psnr fails with these options',
    ),
    'a metric of tensors': (
        put('val.metrics.psnr.type', 'calculate_psnr_pt'),
        'val.metrics.psnr: calculate_psnr_pt fails',
    ),
    'a border that leaves nothing': (
        put('val.metrics.psnr.crop_border', 20),
        'crop_border of val.metrics, 20, leaves nothing of p0 (40, 40)',
    ),
    'a weight that is a list': (
        foreign(train__pixel_opt={'type': 'L1Loss', 'loss_weight': [1, 2]}),
        'train.pixel_opt: L1Loss refuses',
    ),
    'a weight that is not finite': (
        foreign(train__pixel_opt={'type': 'L1Loss', 'loss_weight': float('nan')}),
        'L1Loss is nan for two fine pictures',
    ),
    'a weight of the loss': (
        put('train.pixel_opt.edge_weight', 'a'),
        "train.pixel_opt: AIBNetLoss refuses these options: edge_weight='a'",
    ),
    'a negative weight of the loss': (
        put('train.pixel_opt.frequency_weight', -0.1),
        'frequency_weight=-0.1: expected a number from 0 up',
    ),
    'no epsilon': (put('train.pixel_opt.eps', 0), 'eps=0: expected a number above 0'),
    'a text for the optimizer': (
        put('train.optim_g.amsgrad', 'nope'),
        "train.optim_g.amsgrad: 'nope': expected true or false",
    ),
    'an optimizer of GPUs': (put('train.optim_g.capturable', True), 'train.optim_g: Adam refuses these options'),
    'workers that stay': (put('datasets.train.persistent_workers', True), 'needs num_worker_per_gpu: 1 or more'),
    'a mean alone': (
        put('datasets.train.mean', [0.5, 0.5, 0.5]),
        'PairedFlipDataset cannot load its first sample with these options',
    ),
    'an option of LMDB': (
        put('datasets.train.io_backend', {'type': 'lmdb', 'map_size': 'x'}),
        'cannot load its first sample',
    ),
    # Networks
    'a switch as a text': (
        put('network_g.normalize_logits', 'false'),
        "normalize_logits='false': expected true or false",
    ),
    'a number as a text': (put('network_g.alpha_init', '0.8x'), "alpha_init='0.8x': expected a number"),
    'a number that is none': (put('network_g.alpha_init', float('nan')), 'alpha_init=nan: expected a number'),
    'fewer than no blocks': (
        put('network_g.blocks_per_level', -1),
        'blocks_per_level=-1: expected a whole number, 0 or more',
    ),
    'a billion blocks': (put('network_g.blocks_per_level', 10**9), 'make more than 4000 blocks and masks'),
    'a billion masks': (put('network_g.num_masks', 10**9), 'make more than 4000 blocks and masks'),
    'a width beyond the memory': (put('network_g.width', 10**6), 'its weights alone need'),
    'true sub-decoders': (put('network_g.num_sub_decoders', True), 'num_sub_decoders=True: expected a whole number'),
    # What the command sets
    'a flag as an option': (
        put('auto_resume', True),
        'auto_resume: the command sets it itself; leave it out (--auto_resume is a flag',
    ),
    'a folder of the run': (put('path.models', 'mine'), 'path.models: the command sets it itself'),
    'the phase of a dataset': (put('datasets.train.phase', 'val'), 'the phase of a dataset is its key'),
    'the scale of a dataset': (put('datasets.train.scale', 4), 'datasets.train.scale: 4, but scale is 1'),
    'a dataset to test on': (
        lambda opt: opt['datasets'].update(test=dict(opt['datasets']['val'])),
        'datasets.test: training reads train, val',
    ),
    'two datasets to train on': (
        lambda opt: opt['datasets'].update(train_1=dict(opt['datasets']['train'])),
        'datasets.train_1: training reads train, val',
    ),
    'two datasets of one name': (
        lambda opt: opt['datasets'].update(val_2=dict(opt['datasets']['val'])),
        "datasets.val_2.name: 'val' is that of datasets.val, too",
    ),
    'two datasets of one LMDB': (
        lambda opt: opt['datasets'].update(val_2={**opt['datasets']['val'], 'name': 'other'}),
        'is read by datasets.val.dataroot_lq, too',
    ),
    # Missing
    'a section': (put('train', None), 'train is missing'),
    'all of val': (put('val', {}), 'val.save_img is missing'),
    'all of network_g': (put('network_g', {}), 'network_g: there is nothing in it'),
    'no learning rate': (drop('train.optim_g.lr'), 'train.optim_g.lr is missing'),
    'no milestones': (
        put('train.scheduler', {'type': 'MultiStepLR'}),
        'train.scheduler: MultiStepLR refuses these options',
    ),
    'no loss of another model class': (foreign(train__pixel_opt=None), 'train.pixel_opt is missing'),
    'a dataset without its folder': (put('datasets.train.dataroot_lq', ''), "datasets.train.dataroot_lq: ''"),
    'no loss': (drop('train.pixel_opt'), 'train.pixel_opt is missing'),
    'no backend': (drop('datasets.train.io_backend'), 'datasets.train.io_backend is missing'),
    'no use_rot': (drop('datasets.train.use_rot'), 'datasets.train.use_rot is missing'),
    'no use_vflip': (drop('datasets.train.use_vflip'), 'datasets.train.use_vflip is missing'),
    'no gt_size': (drop('datasets.train.gt_size'), 'datasets.train.gt_size is missing'),
    'no name of a dataset': (drop('datasets.val.name'), 'datasets.val.name is missing'),
    'no scale': (drop('scale'), 'scale is missing'),
    'no training data': (drop('datasets.train'), 'datasets.train is missing'),
    'no val_freq': (drop('val.val_freq'), 'val.val_freq is missing'),
    'no periods': (lambda opt: (foreign()(opt), drop('train.scheduler.periods')(opt)), 'train.scheduler'),
    # Schedule and stages
    'a schedule shorter than a stage': (put('train.scheduler.periods', [4]), 'end before the longest stage'),
    'a schedule shorter than the run': (
        foreign(train__scheduler__periods=[5]),
        'train.scheduler.periods: [5] end after 5 iterations',
    ),
    'weights of restarts': (
        foreign(train__scheduler__restart_weights=[1, 2]),
        'train.scheduler: CosineAnnealingRestartLR refuses',
    ),
    'stages that do not add up': (put('train.total_iter', 10), 'adds up to 9, total_iter is 10'),
    'a stage without weights': (put('train.stage_iter', [0, 9]), 'path.pretrain_network_stages must name'),
    'a frozen random encoder': (put('network_g.freeze_encoder', True), 'the encoder would stay random'),
    'one image a batch': (put('datasets.train.batch_size_per_gpu', 1), 'at least 2 images'),
    # Weights
    'no state': (put('path.resume_state', 'nowhere.state'), 'path.resume_state: there is no file'),
    'weights of another network': (put('path.pretrain_network_g', 'other.pth'), 'other.pth does not fit AIBNet'),
    'weights without the entry': (
        put('path.pretrain_network_g', 'keyless.pth'),
        "keyless.pth has no entry 'params'; it has: something, else",
    ),
    'weights cut short': (put('path.pretrain_network_g', 'cut.pth'), 'cut.pth'),
    'weights of another network, other class': (
        foreign(path__pretrain_network_g='other.pth'),
        'other.pth does not fit ECBSR',
    ),
    'weights without an entry at all': (put('path.pretrain_network_g', 'bare.pth'), 'set path.param_key_*: ~'),
    'weights of which nothing fits': (
        foreign(path__pretrain_network_g='other.pth', path__strict_load_g=False),
        'other.pth does not fit ECBSR',
    ),
    'weights that do not say of which network': (
        put('path.pretrain_network_g', 'unsigned.pth'),
        '1 missing: _extra_state',
    ),
    'weights that are not finite': (
        put('path.pretrain_network_g', 'lost.pth'),
        'lost.pth: 1 entries hold numbers that are not finite: encoder.intro.bias',
    ),
    'weights without numbers': (
        put('path.pretrain_network_g', 'shapes.pth'),
        "shapes.pth holds no state dict as 'params'",
    ),
    'encoder of another network': (
        put('path.pretrain_network_encoder', 'other.pth'),
        'other.pth does not fit the nafnet encoder',
    ),
    'encoder that is not there': (
        put('path.pretrain_network_encoder', 'nowhere.pth'),
        'path.pretrain_network_encoder: the weights of the nafnet encoder are not at nowhere.pth',
    ),
}


def has_training_data(opt):
    return isinstance(opt['datasets'], dict) and 'train' in opt['datasets']


@pytest.mark.parametrize('fault', WRONG)
def test_wrong_options_are_refused_before_anything_is_made(fault, root, monkeypatch, capsys):
    change, message = WRONG[fault]
    opt = options()
    change(opt)
    before = everything(root)
    # Without datasets.train, `check` takes the file for one of testing, where other keys are needed.
    for command in ('train', 'check') if has_training_data(opt) else ('train',):
        assert run(opt, root=root, monkeypatch=monkeypatch, command=command) == 2
        told = capsys.readouterr().err
        assert message in told
        assert 'Traceback' not in told
    assert everything(root) == before


def test_all_wrong_values_of_a_network_are_told_at_once(root, monkeypatch, capsys):
    opt = options()
    opt['network_g'].update(width=0, sfem='no', masked_logits='zeros')
    assert run(opt, root=root, monkeypatch=monkeypatch, command='check') == 2
    told = [line.strip() for line in capsys.readouterr().err.splitlines()]
    for message in (
        'options: width=0: expected a whole number, 1 or more',
        "options: sfem='no': expected true or false",
        "options: masked_logits='zeros': expected one of dropped, zero (did you mean 'zero'?)",
    ):
        assert any(line.endswith(message) for line in told), told


def nested(start, end, merge):
    """Ten anchors, each of which stands for the one before it ten times."""
    first = f'a0: &a0 {"{x: 1}" if merge else "[x]"}\n'
    return first + ''.join(f'a{n}: &a{n} {start}{", ".join([f"*a{n - 1}"] * 10)}{end}\n' for n in range(1, 10))


FILES = {
    'a key twice': ('name: a\nname: b\n', "opt.yml, line 2: the key 'name' stands on line 1 already"),
    'a key twice in a section': ('train:\n  total_iter: 1\n  total_iter: 2\n', "the key 'total_iter' stands on line 2"),
    'no YAML': ('name: [1, 2\n', 'opt.yml, line'),
    'a tab': ('train:\n\ttotal_iter: 1\n', 'opt.yml, line 2'),
    'nothing': ('', 'must hold keys and values'),
    'a list': ('- name\n', 'must hold keys and values'),
    'a tag': ('name: !!python/object/apply:os.mkdir [boom]\n', 'only plain values are read'),
    'a number': ('5\n', 'must hold keys and values'),
    'a list as a key': ('? [a, b]\n: 1\n', 'opt.yml'),
    'a tag on what it does not fit': ('name: !!bool maybe\n', 'opt.yml is no YAML'),
    'anchors of anchors': (nested('[', ']', ''), 'its anchors stand for more than 100,000 values'),
    'merges of merges': (nested('{<<: [', ']}', '<<: '), 'its anchors stand for more than 100,000 values'),
    'an anchor in itself': ('name: &a [*a]\n', 'recursive'),
    'brackets': ('name: ' + '[' * 5000 + '\n', 'opt.yml'),
    'megabytes': ('name: ' + 'x' * 2_000_000 + '\n', 'opt.yml has 2,000,007 bytes: that is no option file'),
}


@pytest.mark.parametrize('fault', FILES)
def test_files_that_are_no_option_files_are_refused(fault, root, monkeypatch, capsys):
    text, message = FILES[fault]
    monkeypatch.chdir(root)
    (root / 'opt.yml').write_text(text)
    before = everything(root)
    for command in ('train', 'check', 'test'):
        reset_logger()
        assert main([command, '-opt', 'opt.yml']) == 2
        assert message in capsys.readouterr().err
    assert everything(root) == before


def test_files_that_are_not_there_or_no_text_are_refused(root, monkeypatch, capsys):
    monkeypatch.chdir(root)
    assert main(['train', '-opt', 'nowhere.yml']) == 2
    assert 'no option file nowhere.yml' in capsys.readouterr().err
    (root / 'opt.yml').write_bytes(b'\xff\xfe\x00')
    assert main(['train', '-opt', 'opt.yml']) == 2
    assert 'opt.yml is no text file' in capsys.readouterr().err


OVERRIDES = {
    'train:total_itr=5': "did you mean 'train:total_iter'?",
    'train:total_iter': 'expected KEY:KEY=VALUE',
    'train:total_iter=[1': '--force_yml',
    'name=!!python/name:os.mkdir': 'only plain values are read',
    'train:total_iter=five': "train.total_iter: 'five'",
    'train:stage_iter=&a [*a]': '--force_yml',
}


@pytest.mark.parametrize('override', OVERRIDES)
def test_wrong_overrides_are_refused(override, root, monkeypatch, capsys):
    before = everything(root)
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=('--force_yml', override)) == 2
    assert OVERRIDES[override] in capsys.readouterr().err
    assert everything(root) == before


def test_overrides_add_up(root, monkeypatch, capsys):
    """BasicSR forgets those of all but the last --force_yml."""
    flags = ('--force_yml', 'train:total_iter=five', '--force_yml', 'manual_seed=ten', 'scale=two')
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=flags) == 2
    told = capsys.readouterr().err
    assert all(word in told for word in ('five', 'ten', 'two'))


def test_all_problems_are_told_at_once(root, monkeypatch, capsys):
    opt = options(ema_decayy=1)
    opt['network_g']['widht'] = 8
    opt['datasets']['val']['dataroot_gt'] = 'nowhere.lmdb'
    opt['path']['resume_state'] = 'nowhere.state'
    opt['train']['optim_g']['lr'] = 'fast'
    opt['logger'] = 7
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    for place in (
        '1. ',
        '6. ',
        'ema_decayy',
        'optim_g.lr',
        'logger',
        'network_g.widht',
        'nowhere.lmdb',
        'nowhere.state',
    ):
        assert place in told


@pytest.mark.parametrize(
    ('section', 'old', 'new'),
    [
        (('train',), 'total_iter', 'total_iters'),
        (('datasets', 'train'), 'gt_size', 'gt_sise'),
        (('datasets', 'val'), 'dataroot_lq', 'dataroot_lqq'),
        (('logger',), 'print_freq', 'print_frequ'),
        (('train',), 'scheduler', 'schedular'),
        ((), 'scale', 'scal'),
        ((), 'network_g', 'network_gg'),
    ],
)
def test_a_misspelled_key_is_told_once_where_it_stands(section, old, new, root, monkeypatch, capsys):
    opt = options()
    rename(section, old, new)(opt)
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    place = '.'.join((*section, new))
    told = capsys.readouterr().err
    assert told == f'basicsr train: 1. {place}: nothing reads this key (did you mean {old!r}?)\n'


def test_mistakes_of_all_kinds_are_told_in_one_pass(root, monkeypatch, capsys):
    """What hangs on a wrong part is passed over, and nothing else is."""
    opt = options(ema_decayy=1, amp='half', grad_clip=0)
    opt['network_g']['widht'] = 8
    opt['datasets']['train'].update(use_hflp=opt['datasets']['train'].pop('use_hflip'), dataroot_gt='nowhere.lmdb')
    opt['datasets']['train']['persistent_workers'] = True
    opt['datasets']['val']['dataroot_lq'] = 'data/train/gt.lmdb'
    opt['val']['metrics']['psnr']['input_order'] = 'XYZ'
    opt['val']['window'] = 10
    opt['train']['scheduler']['eta_mi'] = 1
    opt['train']['pixel_opt']['edge_weight'] = -1
    opt['train']['perceptual_opt'] = {'type': 'PerceptualLoss', 'layer_weights': {'conv1_2': 1}}
    opt['path']['resume_state'] = 'nowhere.state'
    opt['num_gpu'] = 99
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    for place in (
        "train.ema_decayy: nothing reads this key (did you mean 'ema_decay'?)",
        "train.amp: 'half': expected bf16",
        'train.grad_clip: 0: expected a number above 0',
        "network_g.widht: AIBNet has no such option (did you mean 'width'?)",
        "datasets.train.use_hflp: nothing reads this key (did you mean 'use_hflip'?)",
        'datasets.train.dataroot_gt: there is no nowhere.lmdb',
        'datasets.train.persistent_workers: true needs',
        'datasets.val: 8 keys of data/train/gt.lmdb have no partner',
        'val.metrics.psnr: calculate_psnr fails',
        'val.window: 10: expected a positive multiple of 16',
        "train.scheduler.eta_mi: CosineAnnealingRestartLR has no such option (did you mean 'eta_min'?)",
        'train.pixel_opt: AIBNetLoss refuses these options: edge_weight=-1',
        'train.perceptual_opt: AIBNetModel knows the loss of Eq. (7) alone',
        'path.resume_state: there is no file nowhere.state',
        'num_gpu: 99, but 0 are found',
    ):
        assert place in told
    assert '\n15. ' in told
    assert '\n16. ' not in told


def test_a_misspelled_type_or_argument_hides_no_other_mistake(root, monkeypatch, capsys):
    opt = options()
    opt['datasets']['train'].update(type='PairedFlipDatset', gt_sise=opt['datasets']['train'].pop('gt_size'))
    opt['network_g'].update(num_maskz=4, encoder='nafnett')
    opt['train']['stage_iter'] = [1, 1]
    opt['train']['optim_g']['type'] = 'Adamm'
    opt['train']['pixel_opt']['epz'] = 1e-3
    opt['val']['val_freq'] = 'many'
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err
    for place in (
        "datasets.train.type: 'PairedFlipDatset' is not registered (did you mean 'PairedFlipDataset'?)",
        "datasets.train.gt_sise: nothing reads this key (did you mean 'gt_size'?)",
        "network_g.num_maskz: AIBNet has no such option (did you mean 'num_masks'?)",
        "encoder='nafnett': expected one of ufpnet, nafnet (did you mean 'nafnet'?)",
        'train.stage_iter: [1, 1] adds up to 2',
        "train.optim_g.type: 'Adamm': expected one of",
        "train.pixel_opt.epz: AIBNetLoss has no such option (did you mean 'eps'?)",
        "val.val_freq: 'many': expected a whole number",
    ):
        assert place in told
    assert '\n8. ' in told
    assert '\n9. ' not in told


def test_what_is_misspelled_is_not_taken_for_left_out(root, monkeypatch, capsys):
    """The option that is meant, and what hangs on it, are not judged by their defaults."""
    opt = options()
    opt['network_g']['freeze_encodr'] = opt['network_g'].pop('freeze_encoder')
    assert run(opt, root=root, monkeypatch=monkeypatch) == 2
    place = "network_g.freeze_encodr: AIBNet has no such option (did you mean 'freeze_encoder'?)"
    assert capsys.readouterr().err == f'basicsr train: 1. {place}\n'


def test_force_yml_adds_keys_that_the_schema_knows(root, monkeypatch, capsys):
    changes = (
        'train:amp=bf16',
        'val:page:blur_maps=true',
        'network_g:sfem=false',
        'datasets:val:mean=[0.5]',
        'val:up=1',
    )
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=('--force_yml', *changes)) == 2
    assert capsys.readouterr().err.count('the options have no') == 1  # val:up
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=('--force_yml', 'train:amp=half')) == 2
    assert "train.amp: 'half': expected bf16" in capsys.readouterr().err
    assert run(options(), root=root, monkeypatch=monkeypatch, flags=('--force_yml', 'network_g:widht=9')) == 2
    assert "did you mean 'network_g:width'?" in capsys.readouterr().err
    fine = ('train:amp=bf16', 'network_g:sfem=false', 'logger:wandb:project=~')
    assert run(options(), root=root, monkeypatch=monkeypatch, command='check', flags=('--force_yml', *fine)) == 0


def test_numbers_are_read_as_people_write_them(root, monkeypatch):
    monkeypatch.chdir(root)
    (root / 'opt.yml').write_text(yaml.safe_dump(options()).replace('lr: 0.002', 'lr: 2e-3'))
    reset_logger()
    assert main(['check', '-opt', 'opt.yml']) == 0

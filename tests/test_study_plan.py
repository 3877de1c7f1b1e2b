"""What a study is to run, and how it is made shorter."""

import re

import pytest
import yaml

from aibnet_arch.errors import UserError
from aibnet_arch.study.plan import read_plan
from aibnet_arch.study.scaling import scale_iterations
from tests.training import options


@pytest.fixture
def files(tmp_path):
    """Option files B, S and direct, as paths by name."""
    made = {}
    for name, train in {
        'B': {'stage_iter': [500, 400], 'total_iter': 900},
        'S': {'stage_iter': [500], 'total_iter': 500},
        'direct': {'strategy': 'direct', 'stage_iter': None, 'total_iter': 900},
    }.items():
        opt = options(**train)
        opt['name'] = name
        opt['val']['val_freq'] = 100
        opt['logger']['save_checkpoint_freq'] = 100
        opt['network_g']['num_sub_decoders'] = 1 if name == 'S' else 2
        if train.get('stage_iter') is None:
            del opt['train']['stage_iter']
        made[name] = str(tmp_path / f'{name}.yml')
        (tmp_path / f'{name}.yml').write_text(yaml.safe_dump(opt))
    return made


def plan_file(tmp_path, document) -> str:
    (tmp_path / 'plan.yml').write_text(yaml.safe_dump(document))
    return str(tmp_path / 'plan.yml')


def test_each_option_file_runs_with_each_seed_first_seeds_first(files, tmp_path):
    plan = read_plan([files['B'], files['S']], seeds=[4, 5])
    runs = plan.runs(tmp_path / 'out')
    assert plan.base == 'B'
    assert [run.name for run in runs] == ['B-s4', 'S-s4', 'B-s5', 'S-s5']
    assert [run.options['manual_seed'] for run in runs] == [4, 4, 5, 5]
    assert runs[0].options['path']['experiments_root'] == str(tmp_path / 'out/experiments')
    assert len({run.digest for run in runs}) == 4


def test_the_digest_hangs_on_what_decides_and_on_nothing_else(files, tmp_path):
    def digest(change=lambda opt: None, out='out'):
        with open(files['B']) as file:
            opt = yaml.safe_load(file)
        change(opt)
        return read_plan([plan_option(opt)], seeds=[1]).runs(tmp_path / out)[0].digest

    def plan_option(opt):
        (tmp_path / 'changed.yml').write_text(yaml.safe_dump(opt))
        return str(tmp_path / 'changed.yml')

    same = digest()
    assert digest(out='elsewhere') == same
    assert digest(lambda opt: opt['logger'].update(print_freq=7)) == same
    assert digest(lambda opt: opt['train']['optim_g'].update(lr=1e-5)) != same
    assert digest(lambda opt: opt['network_g'].update(width=16)) != same


def test_weights_come_from_the_run_of_the_same_seed_or_the_only_one(files, tmp_path):
    document = {
        'base': 'B',
        'seeds': [0, 1],
        'runs': [
            {'option_file': files['B'], 'weights': {'pretrain_network_stages': 'S'}},
            {'option_file': files['direct'], 'weights': {'pretrain_network_g': 'B'}},
            {'option_file': files['S'], 'seeds': [7]},
        ],
    }
    runs = {run.name: run for run in read_plan([plan_file(tmp_path, document)]).runs(tmp_path / 'out')}
    assert list(runs) == ['S-s7', 'B-s0', 'direct-s0', 'B-s1', 'direct-s1']
    assert runs['B-s1'].options['path']['pretrain_network_stages'] == str(runs['S-s7'].weights)
    assert runs['direct-s1'].options['path']['pretrain_network_g'] == str(runs['B-s1'].weights)
    document['runs'][2]['seeds'] = [8]
    changed = {run.name: run for run in read_plan([plan_file(tmp_path, document)]).runs(tmp_path / 'out')}
    # What is trained on other weights is another run.
    assert changed['direct-s0'].digest != runs['direct-s0'].digest


WRONG = {
    'runs: expected a list of option files': lambda f: {'runs': []},
    "'seed' is no key of a study plan (did you mean 'seeds'?)": lambda f: {'runs': [f['B']], 'seed': [1]},
    "'wieghts' is no key of a study plan (did you mean 'weights'?)": lambda f: {
        'runs': [{'option_file': f['B'], 'wieghts': {}}]
    },
    'run 1: expected an option file': lambda f: {'runs': [{'seeds': [1]}]},
    'numbers from 0 to 2147483647, found [1, 1]': lambda f: {'runs': [f['B']], 'seeds': [1, 1]},
    'found [3000000000]': lambda f: {'runs': [{'option_file': f['B'], 'seeds': [3000000000]}]},
    'found [True]': lambda f: {'runs': [f['B']], 'seeds': [True]},
    "found '123'": lambda f: {'runs': [f['B']], 'seeds': '123'},
    "base: no run has the name 'b'": lambda f: {'runs': [f['B']], 'base': 'b'},
    "two option files have the name 'B'": lambda f: {'runs': [f['B'], f['B']]},
    "no run has the name 'X'": lambda f: {'runs': [{'option_file': f['B'], 'weights': {'pretrain_network_g': 'X'}}]},
    'expected a key of `path` such as': lambda f: {
        'runs': [f['S'], {'option_file': f['B'], 'weights': {'encoder': 'S'}}]
    },
    'B, S wait for each other': lambda f: {
        'runs': [
            {'option_file': f['B'], 'weights': {'pretrain_network_g': 'S'}},
            {'option_file': f['S'], 'weights': {'pretrain_network_g': 'B'}},
        ]
    },
    'S has no run with seed 2': lambda f: {
        'runs': [
            {'option_file': f['B'], 'weights': {'pretrain_network_g': 'S'}, 'seeds': [1, 2]},
            {'option_file': f['S'], 'seeds': [0, 1]},
        ]
    },
    'no option file nowhere.yml': lambda f: {'runs': ['nowhere.yml']},
}


@pytest.mark.parametrize('message', WRONG)
def test_a_wrong_plan_is_refused(message, files, tmp_path):
    with pytest.raises(UserError, match=re.escape(message)):
        read_plan([plan_file(tmp_path, WRONG[message](files))])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda opt: opt.pop('val'), 'set val.val_freq and val.metrics'),
        (lambda opt: opt['val'].update(metrics=None), 'set val.val_freq and val.metrics'),
        (lambda opt: opt['datasets'].pop('val'), 'datasets has no val'),
        (lambda opt: opt['datasets'].pop('train'), 'datasets.train is missing'),
        (lambda opt: opt['datasets']['val'].update(name='other'), 'one figure in common'),
        (lambda opt: opt['train'].update(total_iter=True), 'train.total_iter: expected a number'),
        (lambda opt: opt.update(name=['a']), "name: expected text, found ['a']"),
        (lambda opt: opt.pop('train'), 'holds no options of training: train missing'),
        (lambda opt: opt.update(train=3), 'train: expected keys and values'),
        (lambda opt: opt['train'].update(total_iter='many'), 'train.total_iter: expected a number'),
        (lambda opt: opt['path'].update(resume_state='x'), 'begins at the first iteration'),
    ],
)
def test_option_files_that_no_study_can_run_are_refused(change, message, files, tmp_path):
    with open(files['B']) as file:
        opt = yaml.safe_load(file)
    change(opt)
    (tmp_path / 'wrong.yml').write_text(yaml.safe_dump(opt))
    with pytest.raises(UserError, match=re.escape(message)):
        read_plan([str(tmp_path / 'wrong.yml'), files['S']])


def test_everything_that_counts_iterations_is_scaled_and_equal_totals_stay_equal():
    opt = options(stage_iter=[333, 333, 334], total_iter=1000, warmup_iter=100)
    opt['train']['scheduler'] = {'type': 'MultiStepLR', 'milestones': [250, 500]}
    opt['val']['val_freq'], opt['logger']['save_checkpoint_freq'] = 50, 5
    scale_iterations(opt, 0.01)
    assert opt['train']['stage_iter'] == [3, 4, 3]
    assert opt['train']['total_iter'] == 10
    assert opt['train']['warmup_iter'] == 1
    assert opt['train']['scheduler']['milestones'] == [2, 5]
    assert (opt['val']['val_freq'], opt['logger']['save_checkpoint_freq']) == (1, 1)
    direct = options(total_iter=1000)
    direct['train'].pop('stage_iter')
    direct['train']['scheduler']['periods'] = [333, 333, 334]
    scale_iterations(direct, 0.01)
    assert direct['train']['total_iter'] == 10
    assert sum(direct['train']['scheduler']['periods']) == 10


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda opt: opt['train'].update(stage_iter='abc'), 'cannot be scaled'),
        (lambda opt: opt['train'].update(scheduler='Cos'), 'cannot be scaled'),
        (lambda opt: opt['val'].update(val_freq=[3]), 'cannot be scaled'),
        (lambda opt: opt['train'].update(stage_iter=[3]), 'adds up to 3, train.total_iter is 900'),
    ],
)
def test_what_cannot_be_scaled_is_told(change, message, files, tmp_path):
    with open(files['B']) as file:
        opt = yaml.safe_load(file)
    change(opt)
    (tmp_path / 'wrong.yml').write_text(yaml.safe_dump(opt))
    with pytest.raises(UserError, match=re.escape(message)):
        read_plan([str(tmp_path / 'wrong.yml'), files['S']], scale=0.5)


def test_stages_trained_before_stay_empty_and_others_must_not_become_so():
    opt = options(stage_iter=[0, 400], total_iter=400)
    scale_iterations(opt, 0.1)
    assert opt['train']['stage_iter'] == [0, 40]
    with pytest.raises(UserError, match='stage 2 has no iteration left'):
        scale_iterations(opt, 0.001)


def test_a_total_is_the_base_s_and_the_others_keep_their_ratio(files):
    plan = read_plan([files['B'], files['S'], files['direct']], base='direct', total=90)
    totals = {entry.name: entry.options['train']['total_iter'] for entry in plan.entries}
    assert totals == {'B': 90, 'S': 50, 'direct': 90}

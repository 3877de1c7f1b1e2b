"""What of BasicSR is replaced and relied on: the tables say all of it, and the page says what the tables say."""

import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import pytest

from aibnet_arch.basicsr_patches import preparation, table
from aibnet_arch.basicsr_patches.fingerprints import compare, fingerprints
from aibnet_arch.basicsr_patches.relied_on import RELIED_ON, VERSION
from tests.training import dataset_options, make_dataset, options, run
from tools.basicsr_page import SECTIONS, tables

REPOSITORY = Path(__file__).parent.parent
EVERYTHING = [each for group in SECTIONS.values() for each in group]

preparation.prepare()
import basicsr  # noqa: E402
from basicsr.models.base_model import BaseModel  # noqa: E402
from basicsr.models.sr_model import SRModel  # noqa: E402

from aibnet_arch.basicsr_patches import model_methods, test_pipeline, train_pipeline  # noqa: E402

SOURCE = Path(basicsr.__file__).parent


def everything_in_basicsr() -> dict[str, int]:
    """'module:name' and 'module:Class.name' to the identity of what it means."""
    found = {'torch:load': id(sys.modules['torch'].load)}
    for name, module in list(sys.modules.items()):
        if name.partition('.')[0] != 'basicsr' or module is None:
            continue
        for attribute, value in list(vars(module).items()):
            if isinstance(value, (type, types.FunctionType)):
                found[f'{name}:{attribute}'] = id(value)
            if isinstance(value, type) and value.__module__ == name:
                found.update({f'{name}:{attribute}.{key}': id(inner) for key, inner in vars(value).items()})
    return found


def changed(before: dict[str, int], after: dict[str, int]) -> set[str]:
    return {name for name in before if before[name] != after.get(name)}


# What is replaced


def test_a_run_replaces_what_the_table_says_and_gives_it_back(tmp_path, monkeypatch):
    make_dataset(tmp_path)
    seen = []
    for pipeline in (train_pipeline, test_pipeline):

        def loader(*arguments, original=pipeline.val_loader, **keywords):
            seen.append(everything_in_basicsr())
            return original(*arguments, **keywords)

        monkeypatch.setattr(pipeline, 'val_loader', loader)
    before = everything_in_basicsr()
    opt = options(stage_iter=[1, 1], total_iter=2)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    test = {key: opt[key] for key in ('model_type', 'scale', 'num_gpu', 'network_g')}
    test.update(name='test_run', datasets={'test': dataset_options('val')}, val={'save_img': False})
    test['path'] = {'pretrain_network_g': 'experiments/run/models/net_g_latest.pth'}
    assert run(test, root=tmp_path, monkeypatch=monkeypatch, command='test') == 0
    assert [changed(before, during) for during in seen] == [
        {each.target for each in table.WHILE_TRAINING},
        {each.target for each in table.WHILE_TESTING},
    ]
    assert not changed(before, everything_in_basicsr())


def test_preparing_replaces_what_the_table_says():
    code = (
        'from aibnet_arch.basicsr_patches.functional_tensor import provide_functional_tensor\n'
        'import torch\n'
        'load = torch.load\n'
        'provide_functional_tensor()\n'
        'import basicsr, basicsr.train, basicsr.test\n'
        'import sys, types\n'
        'def everything():\n'
        '    return {(n, a, k): id(i) for n, m in list(sys.modules.items()) if n.startswith("basicsr")\n'
        '            for a, v in list(vars(m).items()) if isinstance(v, (type, types.FunctionType))\n'
        '            for k, i in (list(vars(v).items()) if isinstance(v, type) else [("", v)])}\n'
        'before = everything()\n'
        'from aibnet_arch.basicsr_patches.preparation import prepare\n'
        'prepare(); prepare()\n'
        'after = everything()\n'
        'print(sorted({f"{a}.{k}" for n, a, k in before if before[n, a, k] != after[n, a, k]}), torch.load is load)\n'
    )
    done = subprocess.run([sys.executable, '-c', code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "['Registry._do_register'] False\n"
    assert [each.target for each in table.WHILE_A_COMMAND_RUNS] == [
        'basicsr.utils.registry:Registry._do_register',
        'torch:load',
    ]


def test_every_replacement_names_what_is_there():
    for each in EVERYTHING:
        owner, name = each.owner()
        assert callable(getattr(owner, name)), each.target
        module, _, path = each.by.partition(':')
        thing = sys.modules[f'aibnet_arch.{module}']
        for part in path.split('.'):
            thing = getattr(thing, part)
        assert callable(thing), each.by
        assert all((each.fault, each.serves, each.until))


def test_the_table_lists_every_method_that_models_inherit_from_us():
    ours = {
        f'basicsr.models.{module}:{base.__name__}.{name}': vars(cls)[name]
        for cls, base, module in (
            (model_methods.SafeModel, BaseModel, 'base_model'),
            (model_methods.SafeSRModel, SRModel, 'sr_model'),
        )
        for name in vars(cls)
        if not name.startswith('__') and hasattr(base, name)
    }
    assert set(ours) == {each.target for each in table.INHERITED}


def test_what_a_class_defines_itself_stays_and_what_it_inherits_is_ours():
    class Own(SRModel):
        def save_network(self, *arguments):
            return 'own', super().save_network

        def dist_validation(self, *arguments):
            return 'own'

    cls = model_methods.safe_class(Own)
    assert (cls.__name__, cls.__module__) == ('Own', __name__)
    model = cls.__new__(cls)
    own, above = model.save_network()
    assert own == 'own'
    assert above.__func__ is model_methods.SafeModel.save_network
    assert cls.load_network is model_methods.SafeModel.load_network
    assert cls.optimize_parameters is SRModel.optimize_parameters
    assert cls.nondist_validation is model_methods.validate
    assert cls.dist_validation is Own.dist_validation
    assert model_methods.safe_class(SRModel).dist_validation is model_methods.validate
    assert SRModel.load_network is BaseModel.load_network is not cls.load_network
    assert model_methods.safe_class(SRModel).save is SRModel.save
    assert model_methods.safe_class(BaseModel).load_network is model_methods.SafeModel.load_network
    assert model_methods.safe_class(Path) is Path


# Which BasicSR


@pytest.fixture
def other(tmp_path):
    """A BasicSR that can be changed."""
    return Path(shutil.copytree(SOURCE, tmp_path / 'basicsr', ignore=shutil.ignore_patterns('*.pyc')))


def change(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1))


def test_of_a_tested_one_nothing_is_said(other, capsys):
    change(other, 'train.py', '# train', '# a comment, ')
    change(other, 'models/base_model.py', '"""Reload the optimizers', '"""Load the optimizers')
    compare(other, VERSION)
    assert capsys.readouterr().err == ''


def test_changed_functions_are_told_once_with_what_hangs_on_them(other, capsys):
    change(other, 'train.py', 'current_iter += 1', 'current_iter += 2')
    change(other, 'models/base_model.py', 'self.optimizers[i].load_state_dict(o)', 'pass')
    compare(other, VERSION)
    message = capsys.readouterr().err
    assert f'The BasicSR {VERSION} in {other} is none of those tested' in message
    assert '\n  the order of a run and of an iteration: basicsr.train:train_pipeline\n' in message
    resuming = 'checkpoints that are whole, and bit-equal resuming'
    assert f'\n  {resuming}: basicsr.models.base_model:BaseModel.resume_training\n' in message
    assert message.count('basicsr.') == 2
    compare(other, VERSION)
    assert capsys.readouterr().err == ''


def test_another_version_is_told_by_the_first_process(other, monkeypatch, capsys):
    monkeypatch.setenv('RANK', '1')
    compare(other, '1.5.0')
    assert capsys.readouterr().err == ''
    monkeypatch.setenv('RANK', '0')
    compare(other, '1.5.0')
    message = capsys.readouterr().err
    assert f'The BasicSR 1.5.0 in {other} is none of those tested' in message
    assert f'All {len(fingerprints(other))} functions that are relied on are as there.' in message


def train_with(other: Path, tmp_path: Path) -> subprocess.CompletedProcess:
    """`basicsr train` with another BasicSR, and an option file that is not there."""
    return subprocess.run(
        [sys.executable, '-m', 'aibnet_arch', 'train', '-opt', 'no.yml'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={'PYTHONPATH': f'{other.parent}:{REPOSITORY}', 'OMP_NUM_THREADS': '1'},
    )


def test_the_command_says_it_before_anything_runs_and_refuses_what_lacks_a_function(other, tmp_path):
    change(other, 'utils/misc.py', "'pretrain_network path will be", "'The path will be")
    done = train_with(other, tmp_path)
    assert done.returncode == 2
    told, refused = done.stderr.index('basicsr.utils.misc:check_resume'), done.stderr.index('no option file no.yml')
    assert told < refused
    change(other, 'models/base_model.py', 'def reduce_loss_dict', 'def reduce_losses')
    done = train_with(other, tmp_path)
    assert done.returncode == 2
    assert 'has no basicsr.models.base_model:BaseModel.reduce_loss_dict. Install a tested one' in done.stderr


@pytest.mark.parametrize(
    ('break_it', 'told'),
    [
        (lambda folder: (folder / 'data/prefetch_dataloader.py').unlink(), 'basicsr.data.prefetch_dataloader:CPUPref'),
        (
            lambda folder: change(folder, 'utils/logger.py', 'def get_root_logger', 'def root_logger'),
            'has no basicsr.utils.logger:get_root_logger. Install a tested one',
        ),
    ],
)
def test_a_basicsr_that_cannot_be_imported_is_told_by_what_it_lacks(break_it, told, other, tmp_path):
    break_it(other)
    done = train_with(other, tmp_path)
    assert done.returncode == 2
    assert told in done.stderr and 'Traceback' not in done.stderr


def test_a_checkout_without_registries_and_without_init_is_told(monkeypatch):
    """Those of NAFNet and Restormer are namespace packages."""
    package = types.ModuleType('basicsr')
    package.__path__ = ['/somewhere/NAFNet/basicsr']
    package.__file__ = None
    monkeypatch.setitem(sys.modules, 'basicsr', package)
    error = ModuleNotFoundError("No module named 'basicsr.utils.registry'", name='basicsr.utils.registry')
    message = preparation._import_advice(error)
    assert 'the basicsr in /somewhere/NAFNet/basicsr has no basicsr.utils.registry: it is older' in message


# The page


def test_the_page_has_the_tables():
    page = (REPOSITORY / 'docs/basicsr.md').read_text()
    assert page.endswith(tables())
    in_modules = [each for each in EVERYTHING if each.target.startswith('basicsr') and each not in table.INHERITED]
    assert f'modules {len(in_modules)} names mean' in page.replace('\n', ' ')
    assert f'inherits {len(table.INHERITED)} methods' in page
    assert len(EVERYTHING) == len(in_modules) + len(table.INHERITED) + 2  # torch's and torchvision's


def test_the_page_shows_the_calls_of_the_loop_in_their_order():
    from aibnet_arch.training.iteration import TrainedModel

    page = (REPOSITORY / 'docs/basicsr.md').read_text()
    methods = [name for name in vars(TrainedModel) if not name.startswith('_')]
    places = [re.search(rf'P->>T: (\w+, )?{name}\b', page).start() for name in methods]
    assert places == sorted(places)
    source = (SOURCE / 'train.py').read_text()
    assert set(re.findall(r'\bmodel\.(\w+)\(', source)) == set(methods)
    for file in re.findall(r'(\w+/\w+\.py)', page.partition('## Which')[0]):
        assert (REPOSITORY / 'aibnet_arch' / file).is_file() or (SOURCE.parent / file).is_file(), file


def test_all_that_is_replaced_is_relied_on():
    relied_on = {name for names in RELIED_ON.values() for name in names}
    places = {'basicsr.train:parse_options': 'basicsr.utils.options:parse_options'}
    places['basicsr.test:parse_options'] = places['basicsr.train:parse_options']
    places['basicsr.train:copy_opt_file'] = 'basicsr.utils.options:copy_opt_file'
    places['basicsr.test:build_dataloader'] = 'basicsr.data:build_dataloader'
    for pipeline in ('train', 'test'):
        places[f'basicsr.{pipeline}:build_model'] = 'basicsr.models:build_model'
        for name in ('get_root_logger', 'init_wandb_logger'):
            places[f'basicsr.{pipeline}:{name}'] = f'basicsr.utils.logger:{name}'
    for each in EVERYTHING:
        if each.target.startswith('basicsr') and 'Registry' not in each.target:
            assert places.get(each.target, each.target) in relied_on

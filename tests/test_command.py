"""The `basicsr` command: what it prints, returns and leaves behind."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from aibnet_arch.commands.main import COMMANDS, main
from aibnet_arch.config.checks.data import PREPARATION
from aibnet_arch.errors import UserError
from aibnet_arch.registries import plugins
from tests.training import make_dataset, options, reset_logger, run

REPOSITORY = Path(__file__).parent.parent
TRAIN_OPTIONS = sorted(path.name for path in (REPOSITORY / 'options').glob('AIBNet-[SBL]_[A-Z]*.yml'))


def test_usage_and_unknown_commands(capsys):
    assert main(['--help']) == 0
    assert 'train' in capsys.readouterr().out
    assert main([]) == 2
    assert main(['trian']) == 2
    assert "no command 'trian'" in capsys.readouterr().err


def test_the_list_of_commands_may_lose_its_reader():
    readable, writable = os.pipe()
    os.close(readable)
    done = subprocess.run(
        [sys.executable, '-m', 'aibnet_arch', '--help'], stdout=writable, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writable)
    assert (done.returncode, done.stderr) == (0, '')


@pytest.mark.parametrize('command', COMMANDS)
def test_a_flag_that_takes_several_values_forgets_none_when_it_is_given_again(command, monkeypatch):
    class AskedError(Exception):
        pass

    def asked(parser, *_):
        raise AskedError(parser)

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', asked)
    with pytest.raises(AskedError) as raised:
        main([command])
    (parser,) = raised.value.args
    several = [action for action in parser._actions if action.option_strings and action.nargs == '+']
    assert [action.dest for action in several if not isinstance(action, argparse._ExtendAction)] == []
    # It would add to a default that is not empty.
    assert [action.dest for action in several if action.default not in (None, [])] == []


def test_the_installed_command_and_the_module_are_the_same():
    for command in ([str(Path(sys.executable).parent / 'basicsr')], [sys.executable, '-m', 'aibnet_arch']):
        done = subprocess.run([*command, '--help'], capture_output=True, text=True, check=True)
        assert 'usage: basicsr COMMAND' in done.stdout


# The script that makes a data set, and where its archive is from.
TOLD = {
    'GoPro': ('gopro', 'seungjunnah.github.io'),
    'RealBlur': ('realblur', 'cg.postech.ac.kr'),
    'RSBlur': ('rsblur', 'github.com/rimchang/RSBlur'),
    'ReLoBlur': ('reloblur', 'github.com/LeiaLi/ReLoBlur'),
    'REDS': ('reds', 'seungjunnah.github.io'),
    'BSD': ('bsd', 'github.com/zzh-tech/ESTRNN'),
}


@pytest.mark.parametrize('name', TRAIN_OPTIONS)
def test_without_data_and_weights_it_says_what_to_get_and_leaves_nothing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    reset_logger()
    assert main(['train', '-opt', str(REPOSITORY / 'options' / name)]) == 2
    message = capsys.readouterr().err
    assert 'https://github.com/Fangzhenxuan/UFPDeblur' in message
    assert 'pretrain_network_encoder' in message
    (script, source), *others = [told for data, told in TOLD.items() if f'_{data}' in name]
    assert not others
    assert f'python -m datasets_prep.{script} ' in message
    assert source in message
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('name', sorted(PREPARATION))
def test_the_commands_that_messages_name_exist(name, tmp_path):
    """They get as far as to look for the archive."""
    command = PREPARATION[name][0].split()
    assert command[:2] == ['python', '-m']
    if name == 'demo':
        command.append('--help')
    done = subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == (0 if name == 'demo' else 2)
    assert 'usage:' not in done.stderr


def test_a_refused_run_leaves_the_former_run_alone(tmp_path, monkeypatch, capsys):
    make_dataset(tmp_path)
    opt = options(stage_iter=[1, 1], total_iter=2)
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 0
    before = sorted(tmp_path.rglob('*'))
    opt['network_g']['num_sub_decoder'] = opt['network_g'].pop('num_sub_decoders')
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 2
    assert "did you mean 'num_sub_decoders'?" in capsys.readouterr().err
    assert sorted(tmp_path.rglob('*')) == before


def test_ctrl_c_is_a_line_and_an_exit_code(tmp_path, monkeypatch, capsys):
    def stopped(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr('aibnet_arch.commands.info.describe', stopped)
    assert main(['info', 'net.pth']) == 130
    assert capsys.readouterr().err == 'basicsr info: stopped by Ctrl-C\n'


def test_check_of_good_options_says_so(tmp_path, monkeypatch, capsys):
    make_dataset(tmp_path)
    assert run(options(), root=tmp_path, monkeypatch=monkeypatch, command='check', flags=('--decode', 'all')) == 0
    assert 'no problem found' in capsys.readouterr().out
    assert not (tmp_path / 'experiments').exists()


def test_a_data_error_in_training_names_dataset_and_key(tmp_path, monkeypatch, capsys):
    import lmdb

    make_dataset(tmp_path)
    with lmdb.open(str(tmp_path / 'data/train/gt.lmdb')) as env, env.begin(write=True) as transaction:
        transaction.put(b'p3', b'no picture')
    opt = options()
    opt['datasets']['train'].update(num_worker_per_gpu=1, prefetch_mode='cpu')
    assert run(opt, root=tmp_path, monkeypatch=monkeypatch) == 1  # the sample of pre-flight does not find it
    message = capsys.readouterr().err
    assert 'p3' in message
    assert 'data/train/gt.lmdb' in message


def test_two_owners_of_a_name_are_both_named(monkeypatch):
    from aibnet_arch.basicsr_patches.preparation import prepare

    prepare()
    from basicsr.utils.registry import ARCH_REGISTRY

    from aibnet_arch.register import register

    class AIBNet:
        __module__ = 'somebody.else'

    monkeypatch.setitem(ARCH_REGISTRY._obj_map, 'AIBNet', AIBNet)
    with pytest.raises(UserError, match=r'somebody\.else \(first\) and aibnet_arch\.modeling\.aibnet'):
        register()


def test_a_plugin_that_cannot_be_loaded_is_named(monkeypatch):
    class Broken:
        name, value = 'broken', 'nowhere:register'

        def load(self):
            raise ModuleNotFoundError("No module named 'nowhere'")

    monkeypatch.setattr(plugins, 'entry_points', lambda: {plugins.GROUP: [Broken()]})
    with pytest.raises(UserError, match=r"'broken' \(nowhere:register\)"):
        plugins.load_plugins()


def test_every_plugin_is_called(monkeypatch):
    called = []

    class Plugin:
        name, value = 'fine', 'somewhere:register'

        def load(self):
            return lambda: called.append(self.name)

    monkeypatch.setattr(plugins, 'entry_points', lambda: {plugins.GROUP: [Plugin()]})
    assert plugins.load_plugins() == called == ['fine']

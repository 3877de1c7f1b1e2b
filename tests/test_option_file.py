"""Option files are read as plain data, with the place of every fault told."""

import pytest

from aibnet_arch.config.option_file import load_option_file
from aibnet_arch.config.overrides import apply_overrides
from aibnet_arch.errors import OptionError


def load(text, tmp_path):
    path = tmp_path / 'opt.yml'
    path.write_text(text)
    return load_option_file(path)


def test_values_have_the_types_that_people_expect(tmp_path):
    opt = load('a: 1e-3\nb: !!float 2e-4\nc: 400000\nd: ~\ne: 2E5\nf: 1e\ng: -.5e-2\nh: true\ni: 1.4.2\n', tmp_path)
    assert list(opt.values()) == [1e-3, 2e-4, 400000, None, 2e5, '1e', -0.5e-2, True, '1.4.2']
    assert list(opt) == list('abcdefghi')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a: 1\nb: 2\na: 3\n', "line 3: the key 'a' stands on line 1"),
        ('a:\n  b: 1\n  c: 2\n  b: 3\n', "line 4: the key 'b' stands on line 2"),
        ('a: [1, 2\nb: 3\n', 'line 2'),
        ('a: 1\n\tb: 2\n', 'line 2'),
        ('- 1\n- 2\n', 'must hold keys and values'),
        ('', 'must hold keys and values'),
        ('a: !!python/object/apply:os.system ["touch ran"]\n', 'line 1'),
        ('!!python/object/apply:os.system ["touch ran"]\n', 'line 1'),
        ('a: *unknown\n', 'line 1'),
        ('a: !!float x\n', 'opt.yml'),
    ],
)
def test_what_is_no_option_file_is_refused_with_its_place(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OptionError) as caught:
        load(text, tmp_path)
    assert message in str(caught.value)
    assert 'opt.yml' in str(caught.value)
    assert not (tmp_path / 'ran').exists()


def test_all_duplicates_are_told_at_once(tmp_path):
    with pytest.raises(OptionError) as caught:
        load('a: 1\na: 2\nb:\n  c: 1\n  c: 2\n', tmp_path)
    assert len(caught.value.problems) == 2


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(OptionError, match=r'no option file .*absent\.yml'):
        load_option_file(tmp_path / 'absent.yml')


def test_mappings_of_an_anchor_are_not_shared(tmp_path):
    opt = load('a: &x {type: lmdb}\nb: *x\nc:\n  <<: *x\n  more: 1\n', tmp_path)
    opt['a'].pop('type')
    assert opt['b'] == {'type': 'lmdb'}
    assert opt['c'] == {'type': 'lmdb', 'more': 1}


def test_overrides_are_yaml_and_need_an_existing_key(tmp_path):
    opt = load('train:\n  optim_g:\n    lr: 1.0\n  steps: [1]\nname: a\npath: {x: b}\n', tmp_path)
    apply_overrides(opt, ['train:optim_g:lr=1e-4', 'train:steps=[2, 3]', 'name=x=y', 'path:x=None'])
    assert opt['train'] == {'optim_g': {'lr': 1e-4}, 'steps': [2, 3]}
    assert (opt['name'], opt['path']['x']) == ('x=y', None)
    with pytest.raises(OptionError) as caught:
        apply_overrides(opt, ['train:optim_g:lrr=1', 'train', 'train:optim_g:lr:x=1'])
    assert len(caught.value.problems) == 3
    assert "did you mean 'train:optim_g:lr'?" in str(caught.value)


@pytest.mark.parametrize(
    'override',
    [
        'name"]=1;__import__("os").system("touch ran")#',
        'name=!!python/object/apply:os.system ["touch ran"]',
        "name=[__import__('os').system('touch ran')]",
    ],
)
def test_overrides_execute_nothing(override, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    opt = load('name: a\n', tmp_path)
    try:
        apply_overrides(opt, [override])
    except OptionError:
        pass
    else:
        assert opt['name'] == ["__import__('os').system('touch ran')"]
    assert not (tmp_path / 'ran').exists()

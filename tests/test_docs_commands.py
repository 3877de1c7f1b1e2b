"""Every command in the docs runs, one after the other, as somebody would type them who reads the pages in order."""

import pytest

from aibnet_arch.weights import box
from datasets_prep import bsd, gopro, hide, realblur, reds, reloblur, rsblur
from tests.docs_sandbox import REPOSITORY, commands, make_sandbox, run

DOCS = REPOSITORY / 'docs'
FIRST = ('data', 'training', 'evaluation')
PAGES = [
    *(DOCS / f'{name}.md' for name in FIRST),
    *sorted(page for page in DOCS.glob('*.md') if page.stem not in FIRST),
    REPOSITORY / 'README.md',
]
COMMANDS: dict[str, str] = {}  # to the page; those that stand on several pages run once
for page in PAGES:
    for line in commands(page):
        COMMANDS.setdefault(line, page.stem)


@pytest.fixture(scope='module')
def sandbox(tmp_path_factory):
    root = tmp_path_factory.mktemp('docs')
    make_sandbox(root)
    return root


@pytest.mark.parametrize('command', COMMANDS, ids=[f'{page}: {line}' for line, page in COMMANDS.items()])
def test_a_command_of_the_docs_runs(command, sandbox, monkeypatch):
    monkeypatch.chdir(sandbox)
    monkeypatch.setattr(box, 'FILE', sandbox / 'shipped.safetensors')  # a small one
    # The archives here are small ones.
    monkeypatch.setattr(gopro, 'EXPECTED_PAIRS', {'train': 2, 'test': 2})
    monkeypatch.setattr(hide, 'EXPECTED_PAIRS', 2)
    monkeypatch.setattr(realblur, 'EXPECTED_PAIRS', {'train': 2, 'test': 2})
    monkeypatch.setattr(rsblur, 'EXPECTED_PAIRS', {'train': 2, 'val': 2, 'test': 2})
    monkeypatch.setattr(reloblur, 'EXPECTED_PAIRS', {'train': 2, 'test': 1})
    monkeypatch.setattr(reds, 'EXPECTED_PAIRS', {'train': 10, 'val': 1})
    monkeypatch.setattr(bsd, 'EXPECTED_PAIRS', {'train': 2, 'val': 2, 'test': 2})
    assert run(command) == 0

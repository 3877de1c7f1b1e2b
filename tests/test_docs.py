"""What the docs say is so: links, messages."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
PAGES = [REPOSITORY / 'README.md', *sorted((REPOSITORY / 'docs').glob('*.md'))]


def _source() -> str:
    """All the code, with texts that are broken over lines joined."""
    files = (path for room in ('aibnet_arch', 'datasets_prep') for path in (REPOSITORY / room).rglob('*.py'))
    return re.sub(r"'\s*\n\s*f?'", '', '\n'.join(path.read_text() for path in files))


def test_every_message_in_the_table_of_errors_is_one_of_the_code():
    messages = re.findall(r'^\| `([^`]+)` \|', (REPOSITORY / 'docs/errors.md').read_text(), re.MULTILINE)
    assert len(messages) > 20
    source = _source()
    # %s and %d in the table stand for what the code puts in braces.
    patterns = {text: re.sub('%[ds]', r'\\{[^}]*\\}', re.escape(text.strip())) for text in messages}
    gone = [text for text, pattern in patterns.items() if not re.search(pattern, source)]
    assert not gone


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = page.read_text()
    for target in re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', text):
        if not target.startswith('http'):
            assert (page.parent / target).exists(), target
    for target, anchor in re.findall(r'\]\(([^)#]*)#([^)]+)\)', text):
        if not target.startswith('http'):
            headings = re.findall('^#+ (.+)$', (page.parent / target if target else page).read_text(), re.MULTILINE)
            assert anchor in {re.sub(r'[^\w\- ]', '', heading.lower()).replace(' ', '-') for heading in headings}

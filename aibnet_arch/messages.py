"""How messages are worded, and made fit for a terminal."""

import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Optional

LAYOUT = '\n\t'  # of a whole message


def closest(name: str, known: Iterable[str]) -> Optional[str]:
    """The one of `known` that a misspelled name seems to mean, or None."""
    close = difflib.get_close_matches(str(name), [str(k) for k in known], n=1, cutoff=0.6)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """' (did you mean X?)' if one of `known` is close to `name`, else an empty string."""
    close = closest(name, known)
    return '' if close is None else f' (did you mean {close!r}?)'


def some(names: Iterable[object], most: int = 10) -> str:
    """The first few names, fit for a terminal, and how many more there are."""
    listed = list(names)
    more = f' and {len(listed) - most} more' if len(listed) > most else ''
    return ', '.join(map(printable, listed[:most])) + more


def markdown_table(rows: Iterable[Sequence[str]]) -> str:
    """A table in GitHub's Markdown, of which the first row is the head."""
    lines = [f'| {" | ".join(cell.replace("|", "/") for cell in row)} |' for row in rows]
    lines.insert(1, '|' + ' --- |' * (lines[0].count('|') - 1))
    return '\n'.join(lines) + '\n'


def printable(text: object, *, keep: str = '') -> str:
    """What comes from outside (names of files, keys, metadata) as a terminal can print it: it would obey the rest.

    Args:
        text: characters that do not print become escapes, such as ``\\x1b``.
        keep: such characters that stay, e.g. :data:`LAYOUT`.
    """
    safe = ''.join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in str(text))
    encoding = getattr(sys.stdout, 'encoding', None) or 'utf-8'
    return safe.encode(encoding, 'backslashreplace').decode(encoding)

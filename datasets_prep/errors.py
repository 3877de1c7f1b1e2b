"""The one exception for what a user can put right, and how lists of findings are worded."""

from __future__ import annotations

from collections.abc import Iterable

SHOWN = 10


class PrepError(Exception):
    """Bad input or surroundings; the message says what is wrong, where, and what to do."""


def some(names: Iterable[object]) -> str:
    """The first ten names, and how many more there are."""
    listed = [str(name) for name in names]
    more = f' and {len(listed) - SHOWN} more' if len(listed) > SHOWN else ''
    return ', '.join(listed[:SHOWN]) + more


def raise_if_any(problems: list[str], *, advice: str = '') -> None:
    """Raises one `PrepError` that holds all the problems and the advice; returns if there are none."""
    if problems:
        raise PrepError('\n  '.join([f'{len(problems)} problem(s):', *problems]) + (f'\n{advice}' if advice else ''))

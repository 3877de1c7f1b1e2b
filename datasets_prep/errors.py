"""The one exception for what a user can put right."""

from __future__ import annotations

from aibnet_arch.errors import UserError


class PrepError(UserError):
    """Bad input or surroundings; the message says what is wrong, where, and what to do."""


def raise_if_any(problems: list[str], *, advice: str = '') -> None:
    """Raises one `PrepError` that holds all the problems and the advice; returns if there are none."""
    if problems:
        raise PrepError('\n  '.join([f'{len(problems)} problem(s):', *problems]) + (f'\n{advice}' if advice else ''))

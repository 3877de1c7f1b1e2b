"""Errors that are the user's to put right."""

from collections.abc import Sequence


class UserError(Exception):
    """A problem of the user's input: the command prints it without a traceback and exits with 2."""


class OptionError(UserError):
    """Everything that is wrong with an option file and what it names, found at once.

    Attributes:
        problems: one message each: where, what is wrong, what to do.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__('\n'.join(f'{number}. {problem}' for number, problem in enumerate(self.problems, start=1)))

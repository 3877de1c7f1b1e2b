"""Errors that the command prints without a traceback, each with its exit code."""

from collections.abc import Sequence


class UserError(Exception):
    """A problem of the user's input: the command prints it without a traceback and exits with 2."""

    exit_code = 2


class OptionError(UserError):
    """Everything that is wrong with an option file and what it names, found at once.

    Attributes:
        problems: one message each: where, what is wrong, what to do.
    """

    def __init__(self, problems: Sequence[object]) -> None:
        self.problems = [problems] if isinstance(problems, str) else [str(problem) for problem in problems]
        super().__init__('\n'.join(f'{number}. {problem}' for number, problem in enumerate(self.problems, start=1)))


class ExistsError(UserError):
    """A file that is not to be written over is there, perhaps by another process's doing since it was looked for."""


class RunError(UserError):
    """A run that cannot go on, through no fault of its options: a full disk, a loss that is not finite. Exit code 1."""

    exit_code = 1


class StoppedError(UserError):
    """A run that was asked to stop (SIGTERM, Ctrl-C), and saved what it had. Exit code 75.

    75 is sysexits' EX_TEMPFAIL, "try again later": no signal and no shell gives it by itself.
    """

    exit_code = 75


class PictureError(UserError):
    """A picture or video that cannot be read, restored or written; others of the same command go on."""


class CheckpointError(UserError):
    """A checkpoint that is missing, unreadable or of another network. The message says what to do."""

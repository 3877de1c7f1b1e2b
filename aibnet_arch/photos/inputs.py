"""What is to be restored, and where the results go."""

import os
import secrets
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..messages import printable, some
from .picture_file import FORMATS
from .video import CODECS

MOST_NAMED = 3
# Of cameras: what their sensors saw, before colours are made of it.
RAW = {
    *('.3fr', '.arw', '.cr2', '.cr3', '.crw', '.dng', '.erf', '.iiq', '.kdc', '.mef', '.mos', '.mrw'),
    *('.nef', '.nrw', '.orf', '.pef', '.raf', '.raw', '.rw2', '.rwl', '.sr2', '.srf', '.srw', '.x3f'),
}
DEVELOP = (
    'RAW of a camera, which is to be developed first: save it as 16-bit TIFF with darktable, RawTherapee or the '
    "camera's own program, without sharpening"
)


@dataclass(frozen=True)
class Job:
    """One file to restore.

    Attributes:
        source: where it is.
        output: where the result goes.
    """

    source: Path
    output: Path

    @property
    def is_video(self) -> bool:
        """By the ending of the name; else it is a picture."""
        return self.source.suffix.lower() in CODECS


@dataclass
class Plan:
    """What is to be done.

    Attributes:
        jobs: files to restore, in order.
        skipped: how many files in the folders are no pictures or videos by their names, or hidden.
        unreadable: folders that could not be looked into, and why.
        raw: RAW files of cameras in the folders; they are left alone.
    """

    jobs: list[Job] = field(default_factory=list)
    skipped: int = 0
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    raw: list[Path] = field(default_factory=list)


def plan_jobs(
    inputs: Sequence[str],
    output: Path,
    *,
    picture_suffix: Optional[str] = None,
    shard: tuple[int, int] = (1, 1),
) -> Plan:
    """Find the files and the names of their results; nothing is created.

    A file's result has its name, a folder's the path below that folder, too.

    Args:
        inputs: files and folders. In folders hidden files, linked folders and the folder of results are left out.
        output: folder of the results.
        picture_suffix: of the results of pictures, '.png'; by default their own.
        shard: (3, 16) keeps the third part of sixteen: every sixteenth job, whatever is done already, so that
            machines that see the same files share them without a word.

    Raises:
        UserError: inputs that do not exist or are of no known kind, results that would meet, or lie on an input;
            all of them at once.
    """
    plan, problems = Plan(), []
    if output.suffix.lower() in {**FORMATS, **CODECS} and not output.is_dir():
        problems.append(f'-o {printable(output)}: expected a folder; the results in it have the names of the inputs')
    elif os.path.lexists(output) and not output.is_dir():
        problems.append(f'-o {printable(output)} is there and is no folder')
    for name in inputs:
        path = Path(name)
        if path.is_dir():
            _walk(path, output, plan, picture_suffix)
        elif not os.path.lexists(path):
            problems.append(f'there is no {printable(path)}')
        elif path.suffix.lower() in RAW:
            problems.append(f'{printable(path)} is {DEVELOP}')
        elif path.suffix.lower() not in {**FORMATS, **CODECS}:
            problems.append(f'{printable(path)} is of no known kind; known are {", ".join([*FORMATS, *CODECS])}')
        else:
            plan.jobs.append(_job(path, output / path.name, picture_suffix))
    if not problems and not plan.jobs and not plan.unreadable:
        problems.append(f'nothing to do: no picture and no video among {plan.skipped + len(plan.raw)} files')
        problems += [raw_note(plan)] if plan.raw else []
    plan.jobs = list({(os.path.realpath(job.source), job.output): job for job in reversed(plan.jobs)}.values())[::-1]
    problems += _meetings(plan.jobs, key=str)
    problems += _on_inputs(plan.jobs)
    if problems:
        raise UserError('\n'.join(problems))
    number, count = shard
    plan.jobs = plan.jobs[number - 1 :: count]
    return plan


def check_outputs(plan: Plan, output: Path, *, overwrite: bool, skip_existing: bool) -> int:
    """Make the folder of results, and see that they can be written there.

    Args:
        plan: loses the jobs whose results are there, if those are to be skipped.
        output: folder of the results.
        overwrite, skip_existing: what to do with results that are there.

    Returns:
        How many jobs were taken out.

    Raises:
        UserError: results are there and nothing says what to do, or nothing can be written.
    """
    there = [job for job in plan.jobs if os.path.lexists(job.output)]
    folders = [job.output for job in there if job.output.is_dir() and not job.output.is_symlink()]
    if folders:
        raise UserError(f'{printable(folders[0])} is a folder, where a result is to go')
    if there and not overwrite and not skip_existing:
        raise UserError(
            f'{len(there)} of {len(plan.jobs)} results are there already: '
            f'{some([job.output for job in there], most=MOST_NAMED)}.\n'
            '--overwrite replaces them, --skip-existing leaves them and restores the others.'
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
        probe = output / f'.{secrets.token_hex(8)}.partial'
        probe.touch()
        try:
            one_case = probe.with_name(probe.name.upper()).exists()
        finally:
            probe.unlink()
    except OSError as error:
        raise UserError(f'-o {printable(output)}: nothing can be written there ({error.strerror})') from error
    except RecursionError as error:
        raise UserError(f'-o: a folder {len(output.parts):,d} levels deep cannot be made') from error
    if one_case:
        problems = _meetings(plan.jobs, key=lambda path: unicodedata.normalize('NFC', str(path)).casefold())
        if problems:
            raise UserError('\n'.join(problems))
    if skip_existing:
        plan.jobs = [job for job in plan.jobs if job not in there]
        return len(there)
    return 0


def raw_note(plan: Plan) -> str:
    """For people: the RAW files that are left alone, and what to do with them."""
    return f'{len(plan.raw)} left alone, {some(plan.raw, most=MOST_NAMED)}: {DEVELOP}'


def _walk(folder: Path, output: Path, plan: Plan, picture_suffix: Optional[str]) -> None:
    def note(error: OSError) -> None:
        plan.unreadable.append((Path(error.filename), f'the folder cannot be read ({error.strerror})'))

    results = os.path.realpath(output)
    for place, folders, names in os.walk(folder, onerror=note):
        below = Path(place)
        folders[:] = sorted(
            name for name in folders if not name.startswith('.') and os.path.realpath(below / name) != results
        )
        for name in sorted(names):
            path = below / name
            if path.suffix.lower() in RAW and not name.startswith('.'):
                plan.raw.append(path)
            elif name.startswith('.') or path.suffix.lower() not in {**FORMATS, **CODECS}:
                plan.skipped += 1
            else:
                plan.jobs.append(_job(path, output / path.relative_to(folder), picture_suffix))


def _job(source: Path, output: Path, picture_suffix: Optional[str]) -> Job:
    kind = FORMATS.get(source.suffix.lower())
    if picture_suffix and kind and kind != FORMATS[picture_suffix]:
        output = output.with_suffix(picture_suffix)
    return Job(source, output)


def _meetings(jobs: Sequence[Job], *, key: Callable[[Path], str]) -> list[str]:
    """Results that would have one name, a message each."""
    first: dict[str, Job] = {}
    problems = []
    for job in jobs:
        other = first.setdefault(key(job.output), job)
        if other is not job:
            problems.append(
                f'{printable(other.source)} and {printable(job.source)} would both become {printable(job.output)}: '
                'restore them into folders of their own, or give the folder that holds both'
            )
    return _few(problems)


def _on_inputs(jobs: Sequence[Job]) -> list[str]:
    """Results that would take the place of an input (by whatever name or link), a message each."""
    inputs = {_identity(job.source) for job in jobs} - {None}
    problems = [
        f'the result of {printable(job.source)} would lie on an input, {printable(job.output)}: choose another folder '
        'for -o'
        for job in jobs
        if _identity(job.output) in inputs
    ]
    return _few(problems)


def _identity(path: Path) -> Optional[tuple[int, int]]:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _few(problems: list[str]) -> list[str]:
    more = len(problems) - MOST_NAMED
    return problems if more <= 0 else [*problems[:MOST_NAMED], f'... and {more} more of this kind']

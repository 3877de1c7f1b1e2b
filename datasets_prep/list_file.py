"""List files, in which authors say which pictures of a dataset are for what, a pair a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aibnet_arch.messages import some
from datasets_prep.archives import FilePath
from datasets_prep.pairs import Pair, match


@dataclass(frozen=True)
class Listed:
    """A pair that a line names.

    Attributes:
        name: of the pair; it need not be a safe key.
    """

    name: str
    lq: FilePath
    gt: FilePath


def pairs_of_list(
    listed: FilePath, read: Callable[[Sequence[str]], Listed | None], *, form: str, problems: list[str]
) -> list[Pair]:
    """The pairs of a list file, sorted by key; empty lines are passed over.

    Args:
        listed: the list file, UTF-8.
        read: what a line names, from its fields (split at white space, at least one); None if it is of another form.
        problems: findings are appended here: lines of another form, files that are missing, names that occur twice.
    """
    found: list[Listed] = []
    for number, line in enumerate(listed.read_text(encoding='utf-8-sig').splitlines(), start=1):
        fields = line.split()
        if not fields:
            continue
        named = read(fields)
        if named is None:
            problems.append(f"{listed}, line {number}: not '{form}': {line!r}")
        else:
            found.append(named)
    lq, gt = [(each.name, each.lq) for each in found], [(each.name, each.gt) for each in found]
    missing = [path for _, path in gt + lq if not path.is_file()]
    if missing:
        problems.append(f'{len(missing)} file(s) that {listed} names are missing: {some(missing)}')
    return match(lq=lq, gt=gt, problems=problems)

"""Two or more tests of the same pictures, compared picture by picture: `basicsr compare`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ..errors import UserError
from ..files import write_csv
from ..messages import did_you_mean, some
from ..metrics import gain_of
from ..metrics.paired import Paired
from .result_files import Summary, of_one_dataset, read_summaries


@dataclass(frozen=True)
class Compared:
    """One metric of one dataset, of one test against the first.

    Attributes:
        differences: picture to how much better the test is than the first: above 0 is better, also where lower
            values of the metric are.
        left_out: pictures that only one of the two has, or that have no finite figure.
    """

    dataset: str
    metric: str
    base: str
    name: str
    base_mean: Optional[float]
    mean: Optional[float]
    differences: dict[str, float]
    left_out: int

    @property
    def paired(self) -> Paired:
        """The statistics of the differences."""
        return Paired.of(list(self.differences.values()))


def compare(folders: Sequence[Path], *, metrics: Optional[Sequence[str]] = None) -> list[Compared]:
    """Every test after the first against the first, on the datasets that both have.

    Args:
        folders: of tests, ``results/NAME``.
        metrics: names; None: all that both have.

    Raises:
        UserError: a folder holds no test, two tests have no dataset or metric in common, or no pictures.
    """
    first, *others = [read_summaries(folder) for folder in folders]
    known = [metric for summary in first for metric in summary.metrics()]
    for metric in metrics or ():
        if metric not in known:
            raise UserError(f'--metrics {metric}: not in {first[0].path}{did_you_mean(metric, known)}')
    names = _names(folders, [first, *others])
    found: list[Compared] = []
    for name, summaries in zip(names[1:], others):
        there = of_one_dataset(summaries)
        pairs = [(base, there[base.dataset][0]) for base in first if base.dataset in there]
        if not pairs:
            raise UserError(
                f'{names[0]} and {name} were tested on no dataset of one name: '
                f'{some(summary.dataset for summary in first)}; {some(there)}'
            )
        for base, other in pairs:
            common = [metric for metric in base.metrics() if metric in other.metrics()]
            chosen = [metric for metric in common if not metrics or metric in metrics]
            if not chosen:
                raise UserError(f'{base.path} and {other.path} have no metric in common')
            found += [_compared(base, other, metric, names[0], name) for metric in chosen]
    return found


def _names(folders: Sequence[Path], summaries: Sequence[Sequence[Summary]]) -> list[str]:
    """The folders' names, or the paths where two are alike."""
    names = [each[0].name for each in summaries]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _compared(base: Summary, other: Summary, metric: str, base_name: str, name: str) -> Compared:
    before, after = base.values(metric), other.values(metric)
    lower = base.lower_is_better(metric)
    both = [picture for picture in before if picture in after]
    if not both:
        raise UserError(
            f'{base.path} and {other.path} have no picture in common with a finite {metric}: '
            f'{some(before, 3) or "none"}; {some(after, 3) or "none"}'
        )
    everything = {row['image'] for summary in (base, other) for row in summary.content['pictures']}
    return Compared(
        dataset=base.dataset,
        metric=metric,
        base=base_name,
        name=name,
        base_mean=sum(before[picture] for picture in both) / len(both),
        mean=sum(after[picture] for picture in both) / len(both),
        differences={picture: gain_of(after[picture], before[picture], lower_is_better=lower) for picture in both},
        left_out=len(everything) - len(both),
    )


def told(compared: Sequence[Compared]) -> str:
    """A table to read."""
    lines = [
        f'Better than {compared[0].base} by (above 0: better, whichever way the metric goes)',
        f'{"":32}{"first":>10}{"this":>10}{"better by":>11}  {"95 % of the mean":>22}{"better":>8}{"worse":>7}'
        f'{"equal":>7}  sign test',
    ]
    for each in compared:
        found = each.paired
        interval = '' if found.low is None else f'[{found.low:+.4f}, {found.high:+.4f}]'
        probability = '' if found.sign_test is None else f'p = {found.sign_test:.2g}'
        lines += [
            f'{f"{each.name}, {each.dataset}, {each.metric}":32}{each.base_mean:10.4f}{each.mean:10.4f}'
            f'{found.mean:+11.4f}  {interval:>22}{found.above:8}{found.below:7}{found.equal:7}  {probability}'
            + (f'  ({each.left_out} pictures left out)' if each.left_out else '')
        ]
    lines += [
        '',
        'Pictures are drawn with replacement for the interval; the sign test is two-sided. Both take pictures for',
        'independent: of frames of one scene they promise too much.',
    ]
    return '\n'.join(lines)


def write_differences(compared: Sequence[Compared], path: Path) -> None:
    """One row for each picture, metric and test.

    Raises:
        RunError: it cannot be written.
    """
    rows = []
    for each in compared:
        of_each = {'dataset': each.dataset, 'metric': each.metric, 'base': each.base, 'name': each.name}
        rows += [{**of_each, 'image': image, 'better_by': value} for image, value in each.differences.items()]
    write_csv(path, rows)

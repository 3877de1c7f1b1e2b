"""The figures of a study: mean and spread over the seeds, and differences to the base, paired by seed."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..messages import markdown_table
from .costs import Cost
from .results import Result

Results = Mapping[str, Sequence[Result]]
SAME_TIME = 1.25  # times of equal runs differ by less, unless something else takes the machine


@dataclass(frozen=True)
class Figure:
    """A mean over runs.

    Attributes:
        mean: of them, None without runs.
        deviation: the standard deviation of one run (n - 1 in the denominator), None for less than two.
    """

    runs: int
    mean: Optional[float]
    deviation: Optional[float]

    @classmethod
    def of(cls, values: Sequence[float]) -> 'Figure':
        """Over these runs, those without a figure (NaN) left out."""
        values = [value for value in values if not math.isnan(value)]
        mean = statistics.fmean(values) if values else None
        with np.errstate(invalid='ignore'):  # infinite values have no deviation
            return cls(len(values), mean, float(np.std(values, ddof=1)) if len(values) > 1 else None)

    @property
    def error(self) -> Optional[float]:
        """The standard error of the mean."""
        return None if self.deviation is None else self.deviation / math.sqrt(self.runs)


def difference(results: Sequence[Result], base: Sequence[Result], dataset: str, metric: str) -> Figure:
    """How the final values differ from the base's, seed by seed."""
    of_base = {result.seed: result.final(dataset, metric) for result in base}
    pairs = [(result, of_base[result.seed]) for result in results if result.seed in of_base]
    return Figure.of([result.final(dataset, metric) - other for result, other in pairs])


def at_equal_time(
    results: Sequence[Result], base: Sequence[Result], dataset: str, metric: str
) -> tuple[Figure, Figure, Figure, Figure]:
    """Values when the shorter of two runs of one seed had ended, interpolated between validations.

    Returns:
        Seconds of training, value, the base's value, and the difference.
    """
    of_base = {result.seed: result for result in base}
    rows = []
    for one, other in ((result, of_base[result.seed]) for result in results if result.seed in of_base):
        end = min(one.seconds, other.seconds)
        value, base_value = _value_at(one, end, dataset, metric), _value_at(other, end, dataset, metric)
        if not math.isnan(value + base_value):
            rows.append((end, value, base_value, value - base_value))
    columns = list(zip(*rows)) or [()] * 4
    seconds, here, there, between = (Figure.of(column) for column in columns)
    return seconds, here, there, between


def _value_at(result: Result, seconds: float, dataset: str, metric: str) -> float:
    """NaN before the first validation: nothing is known there."""
    _, times, values = zip(*result.curve(dataset, metric))
    return float(np.interp(seconds, times, values)) if seconds >= times[0] else math.nan


def figures_of(results: Results) -> list[tuple[str, str]]:
    """(dataset, metric) of everything that all runs have measured."""
    lists = [result.figures() for group in results.values() for result in group]
    return [figure for figure in lists[0] if all(figure in others for others in lists)] if lists else []


def input_of(results: Results, dataset: str, metric: str) -> Optional[float]:
    """The figure of the dataset's input; None if a run did not measure it, or measured another."""
    found = {result.of_input(dataset, metric) for group in results.values() for result in group}
    return found.pop() if len(found) == 1 else None


def final_rows(results: Results, base: str, costs: Mapping[str, Cost]) -> list[dict[str, Any]]:
    """One row for each entry, of numbers, None where there is none."""
    rows = []
    for name, group in results.items():
        cost = costs[name]
        seconds = Figure.of([result.seconds for result in group])
        row = {'name': name, 'runs': len(group), 'iterations': group[0].iterations}
        for dataset, metric in figures_of(results):
            final = Figure.of([result.final(dataset, metric) for result in group])
            to_base = difference(group, results.get(base, ()), dataset, metric)
            key = f'{dataset}.{metric}'
            row.update({f'{key}.mean': final.mean, f'{key}.deviation': final.deviation})
            of_input = input_of(results, dataset, metric)
            if of_input is not None:
                row[f'{key}.input'] = of_input
            if name != base:
                row.update({f'{key}.difference': to_base.mean, f'{key}.difference_error': to_base.error})
        row.update(parameters=cost.parameters, trainable=cost.trainable, conv_macs=cost.conv_macs, macs=cost.macs)
        rows.append({**row, 'seconds.mean': seconds.mean, 'seconds.deviation': seconds.deviation})
    return rows


def equal_time_rows(results: Results, base: str) -> list[dict[str, Any]]:
    """One row for each entry but the base and each figure."""
    rows = []
    for name, group in results.items():
        for dataset, metric in figures_of(results) if name != base else ():
            seconds, here, there, between = at_equal_time(group, results.get(base, ()), dataset, metric)
            row = {'name': name, 'dataset': dataset, 'metric': metric, 'runs': between.runs}
            row.update(seconds=seconds.mean, value=here.mean, base=there.mean)
            rows.append({**row, 'difference': between.mean, 'difference_error': between.error})
    return rows


def markdown(results: Results, base: str, costs: Mapping[str, Cost]) -> str:
    """Both tables, to be read."""
    figures = figures_of(results)
    one_dataset = len({dataset for dataset, _ in figures}) == 1
    titles = {figure: figure[1] if one_dataset else '.'.join(figure) for figure in figures}
    head = ['', 'runs', 'iterations']
    for figure in figures:
        head += [titles[figure], f'{titles[figure]}, to {base}']
    table = [[*head, 'parameters (M)', 'trainable (M)', 'GMACs, convolutions', 'GMACs', 'seconds']]
    inputs = [input_of(results, *figure) for figure in figures]
    if any(value is not None for value in inputs):
        shown = [cell for value in inputs for cell in (_number(value), '')]
        table.append(['blurred input', '', '', *shown, *[''] * (len(table[0]) - 3 - len(shown))])
    for row in final_rows(results, base, costs):
        cells = [row['name'], f'{row["runs"]}', f'{row["iterations"]}']
        for dataset, metric in figures:
            key = f'{dataset}.{metric}'
            cells.append(_cell(row[f'{key}.mean'], row[f'{key}.deviation']))
            cells.append(_cell(row.get(f'{key}.difference'), row.get(f'{key}.difference_error'), signed=True))
        cells += [f'{row[key] / 1e6:.3f}' for key in ('parameters', 'trainable')]
        cells += [f'{row[key] / 1e9:.3f}' for key in ('conv_macs', 'macs')]
        table.append([*cells, _cell(row['seconds.mean'], row['seconds.deviation'], digits=1)])
    equal = [['', 'figure', 'runs', 'seconds', 'value', base, 'difference']]
    for row in equal_time_rows(results, base):
        cells = [row['name'], titles[row['dataset'], row['metric']], f'{row["runs"]}']
        cells += [_number(row['seconds'], digits=1), _number(row['value']), _number(row['base'])]
        equal.append([*cells, _cell(row['difference'], row['difference_error'], signed=True)])
    devices = sorted({result.device for group in results.values() for result in group})
    return (
        f'{markdown_table(table)}\n'
        'Means over the seeds ± standard deviation of one run; differences are paired by seed, ± the standard error of '
        f'their mean. Parameters that train are those of the stage that trains most. MACs for 256x256. Seconds of '
        f'training alone, on: {"; ".join(devices)}.{_warning(results)}\n\n'
        'At equal training time: when the shorter of the two runs of a seed ended, the other interpolated between its '
        'validations. A run that is read before its end has not finished its learning rate schedule.\n\n'
        f'{markdown_table(equal)}'
    )


def _warning(results: Results) -> str:
    """Equal trainings take equal time where nothing else runs."""
    times = {name: [result.seconds for result in group] for name, group in results.items()}
    uneven = [name for name, seconds in times.items() if max(seconds) > SAME_TIME * min(seconds)]
    if not uneven:
        return ''
    return (
        f'\n\n**The seconds are no measurement**: runs of the same network ({", ".join(uneven)}) took times that '
        f'differ by more than {SAME_TIME - 1:.0%}, so that something else ran beside them.\n'
        'Do not use the table at equal time.'
    )


def _cell(mean, spread, *, digits: int = 4, signed: bool = False) -> str:
    return _number(mean, digits=digits, signed=signed) + ('' if spread is None else f' ± {spread:.{digits}f}')


def _number(value, *, digits: int = 4, signed: bool = False) -> str:
    return '' if value is None else f'{value:{"+" if signed else ""}.{digits}f}'

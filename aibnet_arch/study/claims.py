"""Claims of a paper that a study tests, and what it says of them.

In a plan file::

    claims:
      - says: SFEM helps
        better: AIBNet-S                  # names of runs
        worse: AIBNet-S_without_SFEM
        paper: 0.40                       # dB, may be left out
        source: Table 3 c, d              # the same
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ..messages import did_you_mean, markdown_table, printable
from .power import LEVEL, MOST_SEEDS, POWER, TARGET, Evidence
from .table import Results, difference, figures_of

CLAIM_KEYS = ('says', 'better', 'worse', 'paper', 'source')
METRIC = 'psnr'  # metrics in dB have names that begin so


@dataclass(frozen=True)
class Claim:
    """One entry is said to be better than another.

    Attributes:
        paper: the difference in dB that is claimed.
    """

    says: str
    better: str
    worse: str
    paper: Optional[float] = None
    source: str = ''


def read_claims(items: Any, names: Sequence[str], *, file: str) -> tuple[list[Claim], list[str]]:
    """The claims of a plan, and what is wrong with them."""
    if items is None:
        return [], []
    if not isinstance(items, list):
        return [], [f'{file}: claims: expected a list, found {items!r:.80}']
    claims, problems = [], []
    for number, item in enumerate(items, start=1):
        found = list(_problems(item, names))
        problems += [f'{file}: claim {number}: {problem}' for problem in found]
        if not found:
            claims.append(Claim(**item))
    return claims, problems


def _problems(item: Any, names: Sequence[str]) -> list[str]:
    if not isinstance(item, Mapping):
        return [f'expected a mapping with the keys says, better, worse; found {item!r:.80}']
    problems = [f'{key!r} is no key of a claim{did_you_mean(key, CLAIM_KEYS)}' for key in item if key not in CLAIM_KEYS]
    for key in ('says', 'better', 'worse'):
        if not isinstance(item.get(key), str):
            problems.append(f'{key}: expected text, found {item.get(key)!r:.80}')
        elif key != 'says' and item[key] not in names:
            problems.append(f'{key}: no run has the name {item[key]!r}{did_you_mean(item[key], names)}')
    paper = item.get('paper')
    if paper is not None and (type(paper) not in (int, float) or not math.isfinite(paper)):
        problems.append(f'paper: expected a difference in dB, found {paper!r:.80}')
    if not isinstance(item.get('source', ''), str):
        problems.append(f'source: expected text, found {item["source"]!r:.80}')
    return problems


def verdict(evidence: Evidence) -> str:
    """'agrees', 'disagrees', or 'cannot tell' with the smallest difference that could have been seen."""
    if evidence.sign is None or evidence.visible is None:
        return 'cannot tell (it takes two seeds or more)'
    if evidence.sign:
        return 'agrees' if evidence.sign > 0 else 'disagrees'
    return f'cannot tell (smallest difference that could have been seen: {evidence.visible:.3f} dB)'


def evidence_rows(results: Results, claims: Sequence[Claim], *, base: str) -> list[dict[str, Any]]:
    """A row for each claim and figure in dB, then one for each entry against the base; None where nothing is known."""
    pairs: list[tuple[Optional[Claim], str, str, str]] = [
        (claim, claim.says, claim.better, claim.worse) for claim in claims
    ]
    pairs += [(None, f'{name} against {base}', name, base) for name in results if name != base]
    rows = []
    for dataset, metric in figures_of(results):
        for claim, what, better, worse in pairs if metric.startswith(METRIC) else ():
            found = Evidence.of(difference(results.get(better, ()), results.get(worse, ()), dataset, metric))
            row: dict[str, Any] = {'claim': what if claim else '', 'better': better, 'worse': worse}
            row.update(figure=f'{dataset}.{metric}', paper=None, source='')
            if claim:
                row.update(paper=claim.paper, source=claim.source)
            row.update(runs=found.difference.runs, difference=found.difference.mean, low=found.low, high=found.high)
            row.update(visible=found.visible, seeds=found.seeds, verdict=verdict(found) if claim else '')
            rows.append(row)
    return rows


def evidence_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Two tables to be read: the claims, and how much every comparison could have seen."""
    if not rows:
        return ''
    several = len({row['figure'] for row in rows}) > 1
    claims = [['claim', 'paper', 'here (dB)', 'interval', 'seeds', 'verdict']]
    for row in (row for row in rows if row['claim']):
        paper = '' if row['paper'] is None else f'{row["paper"]:+g}'
        says = _name(row['claim'], row, several)
        source = f'{paper} ({row["source"]})' if row['source'] else paper
        claims.append([says, source, _signed(row['difference']), _interval(row), f'{row["runs"]}', row['verdict']])
    power = [['', 'seeds', 'difference (dB)', 'interval', 'smallest that could be seen', f'seeds for {TARGET:g} dB']]
    for row in (row for row in rows if not row['claim']):
        visible = '' if row['visible'] is None else f'{row["visible"]:.4f}'
        seeds = '' if row['visible'] is None else f'more than {MOST_SEEDS}' if row['seeds'] is None else row['seeds']
        name = _name(f'{row["better"]}, to {row["worse"]}', row, several)
        power.append([name, f'{row["runs"]}', _signed(row['difference']), _interval(row), visible, f'{seeds}'])
    parts = []
    if len(claims) > 1:
        said = 'What the study says of the claims: the difference that is said to be above 0.'
        parts.append(f'{said}\n\n{markdown_table(claims)}')
    if len(power) > 1:
        parts.append(
            f'What could be told apart: intervals of {1 - LEVEL:.0%}, and the true difference that so many seeds see '
            f'in {POWER:.0%} of studies, by the spread of the paired differences (paired t test, {LEVEL:.0%} by '
            'chance).\n'
            f'The spread of few seeds is rough, and so are these figures.\n\n{markdown_table(power)}'
        )
    return '\n'.join(parts)


def _name(text: str, row: Mapping[str, Any], several: bool) -> str:
    return printable(f'{text}, {row["figure"]}' if several else text)


def _signed(value: Optional[float]) -> str:
    return '' if value is None else f'{value:+.4f}'


def _interval(row: Mapping[str, Any]) -> str:
    return '' if row['low'] is None else f'{row["low"]:+.4f} to {row["high"]:+.4f}'

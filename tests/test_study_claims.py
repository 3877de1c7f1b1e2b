"""What a study can tell, and what it says of claims."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import yaml
from scipy import stats

from aibnet_arch.errors import UserError
from aibnet_arch.study.claims import Claim, evidence_markdown, evidence_rows, verdict
from aibnet_arch.study.plan import read_plan
from aibnet_arch.study.power import Evidence, power_of, seeds_for, smallest_visible
from aibnet_arch.study.table import Figure
from tests.test_study_plan import files  # noqa: F401
from tests.test_study_table import result


@pytest.mark.parametrize(('size', 'runs', 'wanted'), [(0.5, 34, 0.8), (1.0, 10, 0.8), (0.0, 7, 0.05)])
def test_power_is_that_of_the_textbook(size, runs, wanted):
    """Cohen's tables: 34 pairs see half a deviation with 0.8, 10 pairs one; without a difference chance is left."""
    assert power_of(size, 1, runs) == pytest.approx(wanted, abs=0.012)


@pytest.mark.parametrize(('size', 'runs'), [(0.3, 3), (1.5, 4), (0.7, 20), (5.0, 2)])
def test_power_is_that_of_the_noncentral_t_distribution(size, runs):
    critical = stats.t.ppf(0.975, runs - 1)
    shift = size * math.sqrt(runs)
    wanted = stats.nct.sf(critical, runs - 1, shift) + stats.nct.cdf(-critical, runs - 1, shift)
    assert power_of(size, 1, runs) == pytest.approx(wanted, abs=2e-4)
    assert power_of(1e6, 1, runs) == pytest.approx(1, abs=1e-3)


def test_power_is_how_often_a_study_sees_it():
    random = np.random.default_rng(0)
    deviation, runs = 0.03, 4
    visible = smallest_visible(deviation, runs)
    studies = random.normal(visible, deviation, (20_000, runs))
    seen = np.mean(stats.ttest_1samp(studies, 0, axis=1).pvalue < 0.05)
    assert seen == pytest.approx(0.8, abs=0.01)


def test_as_many_seeds_as_it_takes_and_no_less():
    for deviation in (0.01, 0.03, 0.1):
        seeds = seeds_for(0.05, deviation)
        assert power_of(0.05, deviation, seeds) >= 0.8
        assert seeds == 2 or power_of(0.05, deviation, seeds - 1) < 0.8
    assert seeds_for(0.05, 5.0) is None
    assert (seeds_for(0.05, 0.0), smallest_visible(0.0, 3)) == (2, 0.0)


def test_the_interval_is_that_of_a_t_test():
    values = [0.11, 0.19, 0.14, 0.22]
    found = Evidence.of(Figure.of(values))
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.sign == 1
    assert verdict(found) == 'agrees'
    assert verdict(Evidence.of(Figure.of([-value for value in values]))) == 'disagrees'


def test_what_cannot_be_told_names_what_could_have_been_seen():
    values = [0.1, -0.1, 0.02]
    visible = smallest_visible(np.std(values, ddof=1), 3)
    spread = Evidence.of(Figure.of(values))
    assert verdict(spread) == (f'cannot tell (smallest difference that could have been seen: {visible:.3f} dB)')
    for values in ([0.3], [], [math.inf, 0.1]):
        assert verdict(Evidence.of(Figure.of(values))) == 'cannot tell (it takes two seeds or more)'


def test_the_report_holds_claims_and_power():
    results = {
        name: [result(name, seed, [value + seed / 2]) for seed, value in enumerate(values)]
        for name, values in {'B': (24.0, 24.1, 24.0), 'S': (23.5, 23.6, 23.52), 'T': (24.0, 23.9, 24.2)}.items()
    }
    claims = [
        Claim('large helps', 'B', 'S', 0.4, 'Table 3'),
        Claim('small helps', 'S', 'B'),
        Claim('T helps', 'T', 'B', 0.1),
        Claim('not run', 'U', 'B'),
    ]
    rows = evidence_rows(results, claims, base='B')
    assert {row['figure'] for row in rows} == {'val.psnr'}  # the others are not in dB
    assert [row['verdict'][:11] for row in rows[:4]] == ['agrees', 'disagrees', 'cannot tell', 'cannot tell']
    assert rows[0]['difference'] == pytest.approx((0.5 + 0.5 + 0.48) / 3)
    assert [(row['better'], row['runs']) for row in rows[4:]] == [('S', 3), ('T', 3)]
    text = evidence_markdown(rows)
    assert '| large helps | +0.4 (Table 3) | +0.4933 |' in text
    assert '| T, to B | 3 |' in text
    assert evidence_markdown([]) == ''


def plan_with(claims, files, tmp_path):  # noqa: F811
    plan = {'runs': [files['B'], files['S']], 'claims': claims}
    (tmp_path / 'plan.yml').write_text(yaml.safe_dump(plan))
    return read_plan([str(tmp_path / 'plan.yml')])


def test_a_plan_may_name_claims(files, tmp_path):  # noqa: F811
    plan = plan_with([{'says': 'B is better', 'better': 'B', 'worse': 'S', 'paper': 0.2}], files, tmp_path)
    assert plan.claims == [Claim('B is better', 'B', 'S', 0.2)]


@pytest.mark.parametrize(
    ('claims', 'message'),
    [
        ('x', "claims: expected a list, found 'x'"),
        (['x'], 'claim 1: expected a mapping with the keys says, better, worse'),
        ([{'says': 'x', 'better': 'B', 'worse': 'Ss'}], "worse: no run has the name 'Ss' (did you mean 'S'?)"),
        ([{'says': 'x', 'better': 'B'}], 'claim 1: worse: expected text, found None'),
        (
            [{'says': 'x', 'better': 'B', 'worse': 'S', 'papr': 1}],
            "'papr' is no key of a claim (did you mean 'paper'?)",
        ),
        ([{'says': 'x', 'better': 'B', 'worse': 'S', 'paper': '1'}], 'paper: expected a difference in dB'),
        ([{'says': 'x', 'better': 'B', 'worse': 'S', 'source': 3}], 'source: expected text, found 3'),
    ],
)
def test_wrong_claims_are_refused(claims, message, files, tmp_path):  # noqa: F811
    with pytest.raises(UserError, match=re.escape(message)):
        plan_with(claims, files, tmp_path)


def test_the_study_of_the_ablations_names_the_paper_s_claims():
    claims = read_plan([str(Path(__file__).parent.parent / 'options/ablation/study.yml')]).claims
    assert len(claims) == 9
    assert claims[0] == Claim('SFEM helps', 'AIBNet-S', 'AIBNet-S_without_SFEM', 0.4, 'Table 3 c, d')

"""Tables and plots of what has finished, in the study's folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..files import write_csv, write_text
from ..training.part_diagnostics import DiagnosticsFile
from .claims import Claim, evidence_markdown, evidence_rows
from .costs import Cost
from .paper import write_paper_tables
from .plan import Run
from .plots import write_plots
from .results import Result, read_result
from .table import equal_time_rows, final_rows, markdown


def finished_results(runs: Sequence[Run]) -> dict[str, list[Result]]:
    """Results by entry, in the order of the runs; entries without one are left out."""
    results: dict[str, list[Result]] = {}
    for run in runs:
        result = read_result(run.folder)
        if result is not None:
            results.setdefault(run.entry, []).append(result)
    return results


def diagnostics_of(runs: Sequence[Run]) -> list[dict[str, str]]:
    """What the last validation of each finished run found in the parts of its AIBNet: a row for each level."""
    found = []
    for run in runs:
        result = read_result(run.folder)
        if result is not None:
            rows = DiagnosticsFile(Path(run.options['path']['experiments_root']) / run.name).rows()
            last = [row for row in rows if int(row['iteration']) == result.iterations]
            found += [{'entry': run.entry, 'seed': str(run.seed), **row} for row in last]
    return found


def write_report(
    out: Path, runs: Sequence[Run], *, base: str, costs: Mapping[str, Cost], claims: Sequence[Claim] = ()
) -> str:
    """Write `table.md`, the CSV files, `paper.*` and `plots/`; the Markdown comes back."""
    results = finished_results(runs)
    if not results:
        return 'no run has finished yet\n'
    evidence = evidence_rows(results, claims, base=base)
    text = '\n'.join([markdown(results, base, costs), evidence_markdown(evidence)])
    write_text(out / 'table.md', text)
    write_csv(out / 'table.csv', final_rows(results, base, costs))
    write_csv(out / 'equal_time.csv', equal_time_rows(results, base))
    write_csv(out / 'evidence.csv', evidence)
    if diagnostics := diagnostics_of(runs):
        write_csv(out / 'diagnostics.csv', diagnostics)
    write_paper_tables(out, results, costs)
    plots = out / 'plots'
    plots.mkdir(exist_ok=True)
    write_plots(plots, results)
    return text

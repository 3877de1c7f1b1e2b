"""`basicsr table`: rows, columns, marks, seeds, gains, published figures, and the four kinds of files."""

import csv
import json
import re

import cv2
import pytest

from aibnet_arch.commands.main import main
from aibnet_arch.evaluation.paper_table import BEST, SECOND, Cell, Column, PaperTable, Row, rows_of_tests
from aibnet_arch.evaluation.published import TABLES, published_rows
from aibnet_arch.evaluation.table_formats import latex, markdown
from tests.test_comparison import write_test

PSNR = Column('GoPro', 'calculate_psnr')


def write(folder, value, *, before=25.0, **more):
    about = {'network': {'parameters': 2_500_000, 'conv_macs': 3_000_000_000, 'macs': 4_000_000_000}}
    types = {'psnr': 'calculate_psnr'}
    return write_test(folder, {'p': value}, dataset='GoPro', before={'p': before}, types=types, about=about, **more)


@pytest.fixture
def tests_of_three(tmp_path):
    for name, value in (('A_seed0', 26.0), ('A_seed1', 26.4), ('B', 27.123), ('C', 26.7)):
        write(tmp_path / name, value)
    return [tmp_path / name for name in ('A_seed0', 'A_seed1', 'B', 'C')]


def test_seeds_are_one_row_and_the_input_stands_first(tests_of_three):
    rows = rows_of_tests((None, folder) for folder in tests_of_three)
    assert [row.name for row in rows] == ['blurred input', 'A', 'B', 'C']
    cell = rows[1].cells[PSNR]
    assert (cell.mean, cell.deviation, cell.gain) == (
        pytest.approx(26.2),
        pytest.approx(0.2 * 2**0.5),
        pytest.approx(1.2),
    )
    table = PaperTable(rows)
    assert table.marks() == {(2, PSNR): BEST, (3, PSNR): SECOND}  # the input takes no part
    text = markdown(table, gains=True)
    assert '| A | 26.20 ± 0.28 (+1.20) |' in text
    assert '| B | **27.12 (+2.12)** |' in text
    assert '| C | <u>26.70 (+1.70)</u> |' in text


def test_what_is_printed_alike_shares_its_mark_and_lower_can_be_better():
    lpips = Column('GoPro', 'calculate_lpips')
    figures = ((30.001, 0.1), (30.004, 0.2), (29.0, 0.3))
    rows = [Row(str(at), {PSNR: Cell([psnr]), lpips: Cell([far])}) for at, (psnr, far) in enumerate(figures)]
    marks = PaperTable(rows).marks()
    assert [marks.get((at, PSNR)) for at in range(3)] == [BEST, BEST, SECOND]
    assert [marks.get((at, lpips)) for at in range(3)] == [BEST, SECOND, None]


def test_one_network_alone_is_not_the_best():
    assert PaperTable([Row('a', {PSNR: Cell([30.0])})]).marks() == {}


def test_the_published_tables_are_whole_and_marked_as_in_the_paper():
    sizes = {table: sum(len(row.cells) for row in published_rows([table])) for table in TABLES}
    assert sizes == {'1': 64, '2': 52, '7': 24}
    rows = published_rows(['1'])
    assert all(row.published for row in rows)
    table = PaperTable(rows)
    by_name = {row.name: at for at, row in enumerate(rows)}
    marks = table.marks()
    assert marks[by_name['AIBNet-L'], PSNR] == BEST
    assert marks[by_name['AIBNet-B'], PSNR] == SECOND
    ssim = Column('GoPro', 'calculate_ssim_3d')
    assert marks[by_name['AdaRevD-L'], ssim] == marks[by_name['AIBNet-B'], ssim] == SECOND
    assert table.text(rows[0], ssim, gains=False) == '0.959'


def test_own_rows_stand_in_the_published_columns_by_the_protocol(tests_of_three, tmp_path):
    other = write_test(tmp_path / 'D', {'p': 27.0}, dataset='GoPro', types={'psnr': 'calculate_psnr_aligned'})
    rows = [*published_rows(['1']), *rows_of_tests([('mine', tests_of_three[2]), (None, other)])]
    table = PaperTable(rows)
    assert table.text(rows[-2], PSNR, gains=False) == '27.12'
    assert table.text(rows[-1], PSNR, gains=False) == '-'  # another protocol: another column
    assert len([column for column in table.columns if column.title == 'PSNR' and column.dataset == 'GoPro']) == 2


def test_the_command_writes_all_formats(tests_of_three, tmp_path, capsys):
    outputs = [tmp_path / f't{ending}' for ending in ('.md', '.tex', '.csv', '.png')]
    arguments = ['table', *map(str, tests_of_three), '--published', '1', '7', '--gains', '--costs']
    assert main([*arguments, '-o', *map(str, outputs)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(outputs[0].read_text())
    assert 'AIBNet-L (published)' in printed
    tex = outputs[1].read_text()
    assert r'\textbf{34.95}' in tex
    assert r'26.20 $\pm$ 0.28 (+1.20)' in tex
    widths = {
        len(re.split(r'(?<!\\)&', line)) for line in tex.splitlines() if line.endswith(r'\\') and 'multi' not in line
    }
    assert widths == {
        1
        + len(
            PaperTable([*published_rows(['1', '7']), *rows_of_tests([(None, tests_of_three[0])], costs=True)]).columns
        )
    }
    rows = list(csv.DictReader(outputs[2].open()))
    mine = {(row['network'], row['metric']): row for row in rows if row['published'] == 'no'}
    assert float(mine['A', 'calculate_psnr']['gain']) == pytest.approx(1.2)
    assert (mine['A', 'calculate_psnr']['seeds'], mine['A', 'parameters']['mean']) == ('2', '2.5')
    picture = cv2.imread(str(outputs[3]))
    assert picture.shape[0] > 500
    assert picture.min() < 50
    assert picture.max() == 255


def test_latex_takes_names_with_its_own_characters():
    text = latex(PaperTable([Row('A_1 & 50%$#{~^\\', {PSNR: Cell([30.0])})]), gains=False)
    assert r'A\_1 \& 50\%\$\#\{\textasciitilde{}\textasciicircum{}\textbackslash{}' in text


@pytest.mark.parametrize(
    ('arguments', 'told'),
    [
        ([], 'nothing to put into a table'),
        (['--published', '1', '-o', 't.pdf'], 'must end in .md, .tex, .csv, .png'),
        (['--published', '1', '-o', 'nowhere/t.md'], 'there is no folder'),
        (['nowhere'], 'there is no nowhere'),
    ],
)
def test_what_makes_no_table_is_told(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(['table', *arguments]) == 2
    assert told in capsys.readouterr().err


def test_metrics_are_chosen_by_name_or_type(tests_of_three, capsys):
    assert main(['table', str(tests_of_three[0]), '--metrics', 'ssim']) == 2
    assert '--metrics ssim: in none of the tests: calculate_psnr, psnr' in capsys.readouterr().err
    assert main(['table', str(tests_of_three[0]), '--metrics', 'psnr', 'psnrr']) == 2
    assert "--metrics psnrr: in none of the tests (did you mean 'psnr'?)" in capsys.readouterr().err
    assert main(['table', str(tests_of_three[0]), '--metrics', 'calculate_psnr']) == 0


def test_metrics_of_a_test_of_several_weights_are_chosen_without_their_names(tmp_path, capsys):
    metrics = {f'{metric} NAFNet': {'mean': 9.0, 'network': 'NAFNet'} for metric in ('psnr', 'ssim')}
    summary = {'dataset': 'GoPro', 'metrics': metrics, 'pictures': []}
    (tmp_path / 'GoPro.json').write_text(json.dumps(summary))
    assert main(['table', str(tmp_path), '--metrics', 'psnr']) == 0
    out = capsys.readouterr().out
    assert 'psnr' in out
    assert 'ssim' not in out

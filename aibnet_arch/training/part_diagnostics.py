"""Diagnostics of the network at each validation: in a file of the experiment, and in TensorBoard."""

import csv
from pathlib import Path
from typing import Any, Optional

from ..errors import UserError
from ..files import write_csv
from ..modeling import AIBNet
from ..profiling.diagnostics import LevelDiagnosis, diagnose

NAME = 'diagnostics.csv'
PICTURES = 8  # of the batch, at most
PLACE = ('iteration', 'sub_decoder', 'level')


def note_diagnostics(model: Any, iteration: int, tb_logger: Optional[Any]) -> None:
    """Diagnose the network that trains on the newest batch, with the gradients of its step, if it is an AIBNet.

    Nothing is noted if the model holds no batch: a resumed run that validates at once has seen none.

    Raises:
        RunError: the file cannot be written.
        UserError: the file is damaged.
    """
    network, batch = getattr(model, 'network', None), getattr(model, 'lq', None)
    if not isinstance(network, AIBNet) or batch is None:
        return
    levels = diagnose(network, batch[:PICTURES])
    DiagnosticsFile(Path(model.opt['path']['experiments_root'])).note(iteration, levels)
    if tb_logger is not None:
        for each in levels:
            for name, value in each.figures.items():
                tb_logger.add_scalar(f'{name}/{each.sub_decoder}.{each.level}', value, iteration)


class DiagnosticsFile:
    """The file `diagnostics.csv` of an experiment: a line for each validation, sub-decoder and level.

    Args:
        folder: of the experiment.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def rows(self) -> list[dict[str, str]]:
        """All lines, numbers as text; none if there is no file.

        Raises:
            UserError: the file is damaged.
        """
        if not self._path.is_file():
            return []
        try:
            with self._path.open(newline='', encoding='utf-8') as file:
                rows = [dict(row) for row in csv.DictReader(file, strict=True)]
            for row in rows:
                int(row['iteration'])
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise UserError(f'{self._path} is damaged ({error!r}): delete it, or bring a whole one back') from error
        return rows

    def note(self, iteration: int, levels: list[LevelDiagnosis]) -> None:
        """Add lines. A resumed run repeats iterations: it replaces what a former one said about them, and later ones.

        Raises:
            RunError: it cannot be written.
            UserError: see :meth:`rows`.
        """
        before = [row for row in self.rows() if int(row['iteration']) < iteration]
        rows = [
            {
                **dict(zip(PLACE, (iteration, each.sub_decoder, each.level))),
                **{name: f'{value:.6g}' for name, value in each.figures.items()},
            }
            for each in levels
        ]
        write_csv(self._path, [*before, *rows], columns=PLACE)

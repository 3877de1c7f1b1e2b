"""How far a training is, and how long it will take, its validations included: one line at the terminal."""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ..terminal import TERMINAL, duration

RECENT = 200  # iterations, of which a mean tells the speed


class TrainingProgress:
    """Counts iterations and validations, and measures both.

    Args:
        model: what BasicSR's build_model made. Its `plan` tells the stages, if it has one.
        loaders: of the validation sets.
    """

    def __init__(self, model: Any, *, loaders: list) -> None:
        self._model = model
        self._loaders = len(loaders)
        self._total = int(model.opt['train']['total_iter'])
        self._val_freq = (model.opt.get('val') or {}).get('val_freq')
        self._validated: dict[str, float] = {}  # dataset to seconds
        self._times: deque[float] = deque(maxlen=RECENT)  # at the ends of iterations, without validations
        self._not_counted = 0.0
        self._iteration = 0

    def iteration(self, number: int) -> None:
        """An iteration is complete."""
        self._iteration = number
        self._times.append(time.monotonic() - self._not_counted)
        if TERMINAL.is_due():
            TERMINAL.progress(f'{self._place()}{self._stage()}{self._loss()}{self._left()}')

    @contextmanager
    def validation(self, dataset: str) -> Iterator[None]:
        """Around a validation, whose pictures are then told with the place in the run."""
        started = time.monotonic()
        TERMINAL.before = f'{self._place()}{self._left()}; '
        try:
            yield
        finally:
            TERMINAL.before = ''
            seconds = self._validated[dataset] = time.monotonic() - started
            self._not_counted += seconds

    def seconds_an_iteration(self) -> Optional[float]:
        """The mean of the last ones, saving included; None before the second."""
        if len(self._times) < 2:
            return None
        return (self._times[-1] - self._times[0]) / (len(self._times) - 1)

    def validations_left(self) -> int:
        """Validations of all sets after the iteration that is complete; the run ends with one."""
        if not self._val_freq:
            return 0
        return -(-self._total // self._val_freq) - self._iteration // self._val_freq

    def seconds_left(self) -> Optional[float]:
        """To the end of the run; validations count as they took last time, 0 those that have not been seen."""
        each = self.seconds_an_iteration()
        if each is None:
            return None
        return each * (self._total - self._iteration) + sum(self._validated.values()) * self.validations_left()

    def _left(self) -> str:
        seconds, validations = self.seconds_left(), self.validations_left()
        if seconds is None:
            return ''
        unseen = validations and len(self._validated) < self._loaders
        more = f' and {validations} validation{"s" if validations > 1 else ""}' if unseen else ''
        return f', {duration(seconds)}{more} left'

    def _place(self) -> str:
        return f'iteration {self._iteration:,d} of {self._total:,d}'

    def _stage(self) -> str:
        stage, plan = getattr(self._model, 'stage', None), getattr(self._model, 'plan', None)
        return f', stage {stage} of {len(plan.lengths)}' if stage and plan else ''

    def _loss(self) -> str:
        # Of this process alone: `get_current_log` asks the others, which do not know that a line is due here.
        terms = getattr(self._model, 'log_dict', {})
        name = 'l_total' if 'l_total' in terms else next((name for name in terms if name.startswith('l_')), None)
        return f', loss {float(terms[name]):.4f}' if name else ''

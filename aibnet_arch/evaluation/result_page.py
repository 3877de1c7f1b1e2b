"""The page of a test (``val.page``), written while its pictures are measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import cv2
import numpy as np

from ..distributed import by_one_process
from ..errors import UserError
from ..page import Entry, Page, usual_better, write_entry
from .several import column


class ResultPage:
    """A page of before, after and truth, ``page_<dataset>/index.html`` beside the table of the pictures.

    Each process writes the files of the pictures that it measures, the first one the page.

    Args:
        settings: what stands below ``val.page``.
        labels: of the networks, if there are several results of each picture.
    """

    def __init__(
        self, opt: Mapping[str, Any], dataset: str, settings: Mapping[str, Any], labels: Sequence[str] = ()
    ) -> None:
        self._folder = Path(opt['path']['log']) / f'page_{dataset}'
        self._title = f'{opt["name"]} on {dataset}'
        metrics = opt['val'].get('metrics') or {}
        # Metrics have names of the user's choice; their types tell what they are.
        self._better = {
            column(name, label): each.get('better') or usual_better(each['type'])
            for name, each in metrics.items()
            for label in labels or (None,)
        }
        self._labels = labels
        self._with_maps = settings.get('blur_maps', False)
        self._number, self._step = opt['rank'] + 1, opt['world_size']  # process r has the pictures r, r + N and so on
        self._page: Any = None  # of the first process
        by_one_process(self._open)()

    @classmethod
    def of(cls, opt: Mapping[str, Any], dataset: str, labels: Sequence[str] = ()) -> Optional['ResultPage']:
        """The page that the options ask for, None if they ask for none."""
        settings = opt['val'].get('page')
        if not settings or opt['is_train']:
            return None
        return cls(opt, dataset, {} if settings is True else settings, labels)

    def _open(self) -> None:
        self._page = Page(self._folder, title=self._title, better=self._better, results=self._labels)

    def maps_of(self, model: Any) -> Mapping[str, np.ndarray]:
        """Heat maps of the picture that a model has just restored, if they are asked for.

        The model's ``blur_maps()`` gives them for its ``self.lq``: name to uint8 (H, W, 3) BGR, of the result's size.
        """
        return model.blur_maps() if self._with_maps else {}

    def add(
        self,
        row: Mapping[str, Any],
        *,
        before: np.ndarray,
        afters: Sequence[np.ndarray],
        truth: Optional[np.ndarray],
        maps: Mapping[str, np.ndarray],
    ) -> Entry:
        """Write the files of a picture.

        Args:
            row: image, metrics, before and note, as the table takes them.
            before, afters, truth: uint8, (H, W, 3) BGR or (H, W), a result of each label. A smaller `before` (scale
                above 1) is enlarged.

        Raises:
            UserError: the sizes differ, or a file cannot be written.
        """
        notes = [row['note']] if row['note'] else []
        after, *more = map(_bgr, afters)
        if before.shape[:2] != after.shape[:2]:
            notes.append(f'before is enlarged from {before.shape[1]}x{before.shape[0]}')
            before = cv2.resize(before, after.shape[1::-1], interpolation=cv2.INTER_CUBIC)
        pictures = {'before': _bgr(before), 'after': after}
        if truth is not None:
            pictures['truth'] = _bgr(truth)
        number, self._number = self._number, self._number + self._step
        try:
            return write_entry(
                self._folder,
                number,
                row['image'],
                pictures=pictures,
                metrics=_measured(row['metrics']),
                inputs=_measured(row['before'] or {}),
                more=more,
                maps=maps,
                note='; '.join(notes),
            )
        except ValueError as error:
            raise UserError(f'val.page: {error}') from error

    def finish(self, entries: Sequence[Optional[Entry]]) -> None:
        """Write the page, with the pictures of all processes in the dataset's order. For the first process alone."""
        from basicsr.utils import get_root_logger

        for entry in entries:
            if entry is not None:
                self._page.take(entry)
        get_root_logger().info(f'Page: {self._page.write()}')


def _bgr(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture


def _measured(figures: Mapping[str, Optional[float]]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if value is not None}

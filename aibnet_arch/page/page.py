"""The page: a folder with index.html and the pictures beside it."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Optional, Union

from ..files import write_whole
from .columns import BETTER, columns, json_number
from .entry import KINDS, PICTURES, Entry, after, write_entry
from .page_folder import INDEX, MARK, make_room

_TEMPLATE = Path(__file__).parent / 'template'
_SCRIPTS = ('state.js', 'list.js', 'viewer.js', 'page.js')  # in this order one script


class Page:
    """One static HTML page of pictures before and after, with their figures.

    Pictures are written when they are added, so that memory does not grow with their number; `write` then adds
    index.html. It works from the disk, with no server and no network. A page of before in the same folder is replaced.

    Args:
        folder: of the page; made if it is not there.
        better: metric to 'higher' or 'lower'; else see `usual_better`.
        results: names of the networks whose results are on the page, if there are several of each picture.

    Raises:
        UserError: the folder holds something else.
        ValueError: `better` says neither.
    """

    def __init__(
        self,
        folder: Union[str, Path],
        *,
        title: str = 'Deblurred pictures',
        better: Optional[Mapping[str, str]] = None,
        results: Sequence[str] = (),
    ) -> None:
        self.folder = Path(folder)
        self.title = title
        self._better = dict(better or {})
        self._results = {after(number): name for number, name in enumerate(results, start=1)}
        for metric, value in self._better.items():
            if value not in BETTER:
                raise ValueError(f'better of {metric!r}: {value!r}: expected higher or lower')
        self._entries: list[Entry] = []
        make_room(self.folder)
        self._write_index(finished=False)  # who opens the page too early, or after a crash, is told

    def add(self, name: str, **contents: Any) -> None:
        """Add a picture; the arguments are those of `write_entry`: pictures, more, metrics, maps and note.

        Raises:
            ValueError: pictures are missing or not of the form that is asked for.
            RunError: a file cannot be written.
        """
        self.take(write_entry(self.folder, len(self._entries) + 1, name, **contents))

    def take(self, entry: Entry) -> None:
        """Add a picture whose files `write_entry` wrote already, in this process or another."""
        self._entries.append(entry)

    def write(self) -> Path:
        """Write index.html; return its path.

        Raises:
            RunError: it cannot be written.
        """
        return self._write_index(finished=True)

    def _write_index(self, *, finished: bool) -> Path:
        page = Template(_text_of('index.html')).substitute(
            title=escape(self.title),
            mark=MARK,
            style=_text_of('page.css'),
            script=''.join(map(_text_of, _SCRIPTS)),
            data=_as_script(self._data(finished=finished)),
        )
        path = self.folder / INDEX
        write_whole(path, lambda file: file.write(page.encode('utf-8', 'replace')))  # titles may hold file names
        return path

    def _data(self, *, finished: bool) -> dict:
        metrics = columns([entry.metrics for entry in self._entries], better=self._better)
        of_input = columns([entry.inputs for entry in self._entries if entry.inputs], better=self._better)
        inputs = {each['name']: each['mean'] for each in of_input}
        return {
            'finished': finished,
            'folder': PICTURES,
            'kinds': list(dict.fromkeys((KINDS[0], KINDS[1], *self._results, *KINDS[2:]))),
            'titles': self._results,
            'metrics': metrics,
            'inputs': inputs,
            'pictures': [
                {
                    'name': entry.name,
                    'width': entry.width,
                    'height': entry.height,
                    'files': entry.files,
                    'maps': entry.maps,
                    'values': [
                        json_number(entry.metrics[metric['name']]) if metric['name'] in entry.metrics else None
                        for metric in metrics
                    ],
                    'note': entry.note,
                    'inputs': {metric: json_number(value) for metric, value in entry.inputs.items()},
                }
                for entry in self._entries
            ],
        }


def _text_of(file: str) -> str:
    return (_TEMPLATE / file).read_text(encoding='utf-8')


def _as_script(data: dict) -> str:
    """JSON that ends no script element, whatever the names in it are. ASCII, so that lone surrogates pass, too."""
    return json.dumps(data, allow_nan=False).replace('<', '\\u003c').replace('>', '\\u003e').replace('&', '\\u0026')

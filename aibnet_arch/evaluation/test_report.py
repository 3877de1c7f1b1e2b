"""What the terminal is told when a test begins and when it has ended."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..distributed import device_told
from ..terminal import TERMINAL, command, duration, short_path


class Report:
    """The first and the last lines of a test."""

    def __init__(self, opt: Mapping[str, Any]) -> None:
        self._opt = opt
        self._started = time.monotonic()

    def begin(self, *, log_file: str, pictures: Mapping[str, int]) -> None:
        """What is tested, on what, and where the log is."""
        opt = self._opt
        # Files of weights bring their networks with them.
        what = ', '.join(opt['weights']) if opt.get('weights') else opt['network_g']['type']
        TERMINAL.say(f'{opt["name"]}: testing {what}, on {device_told(opt)}')
        for path in self._weights():
            TERMINAL.tell('weights', short_path(path))
        TERMINAL.tell('pictures', ', '.join(f'{count:,d} ({name})' for name, count in pictures.items()))
        if not TERMINAL.verbose:
            TERMINAL.tell('log', f'{short_path(log_file)} (--verbose shows it here)')

    def end(self, *, datasets: list[str]) -> None:
        """Where the results are, and what one would do next."""
        opt = self._opt
        folder = Path(opt['path']['results_root'])
        TERMINAL.say(f'{opt["name"]}: tested, in {duration(time.monotonic() - self._started)}')
        for name in datasets:
            table, page = folder / f'{name}.csv', folder / f'page_{name}' / 'index.html'
            if table.is_file():
                TERMINAL.tell('table', f'{short_path(table)}, {name}.json')
            if page.is_file():
                TERMINAL.tell('page', short_path(page))
        if opt['val'].get('save_img'):
            TERMINAL.tell('pictures', short_path(opt['path']['visualization']))
        for path in self._weights()[:1]:
            TERMINAL.tell('next', f'{command()} deblur PHOTOS -o sharp --weights {short_path(path)}')

    def _weights(self) -> list[str]:
        given = self._opt['path'].get('pretrain_network_g')
        return [*(self._opt.get('weights') or {}).values(), *([given] if given else [])]

"""What the terminal is told when a training begins and when it has ended."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from ..distributed import device_told
from ..terminal import TERMINAL, command, duration, short_path


class RunReport:
    """The first and the last lines of a run.

    Args:
        opt: its options, complete.
        option_file: where they are from.
    """

    def __init__(self, opt: Mapping[str, Any], *, option_file: str) -> None:
        self._opt = opt
        self._option_file = Path(option_file)
        self._started = time.monotonic()

    def begin(self, model: Any, *, log_file: Optional[str], first_iter: int, pictures: Mapping[str, int]) -> None:
        """What is trained, on what, and where the log is.

        Args:
            model: what BasicSR's build_model made.
            log_file: of BasicSR's logger.
            first_iter: iterations that were done before.
            pictures: phase and name of each dataset, 'train demo' say, to its pictures.
        """
        opt = self._opt
        plan = getattr(model, 'plan', None)
        stages = f' in {len(plan.lengths)} stages' if plan and len(plan.lengths) > 1 else ''
        TERMINAL.say(f'{opt["name"]}: {int(opt["train"]["total_iter"]):,d} iterations{stages}, on {device_told(opt)}')
        if first_iter:
            TERMINAL.tell('goes on', f'from iteration {first_iter:,d}')
        network = model.get_bare_model(model.net_g) if hasattr(model, 'net_g') else None
        if network is not None:
            count = sum(parameter.numel() for parameter in network.parameters())
            TERMINAL.tell('network', f'{type(network).__name__}, {count / 1e6:,.2f} M parameters')
        TERMINAL.tell('pictures', ', '.join(f'{count:,d} ({name})' for name, count in pictures.items()))
        if log_file and not TERMINAL.verbose:
            TERMINAL.tell('log', f'{short_path(log_file)} (--verbose shows it here)')

    def end(self, model: Any) -> None:
        """Where the results are, and what one would do next."""
        opt = self._opt
        weights = Path(opt['path']['models']) / 'net_g_latest.pth'
        TERMINAL.say(f'{opt["name"]}: trained, in {duration(time.monotonic() - self._started)}')
        for dataset, metrics in (getattr(model, 'best_metric_results', None) or {}).items():
            best = (f'{name} {entry["val"]:.4f} at iteration {entry["iter"]}' for name, entry in metrics.items())
            TERMINAL.tell('best', f'{", ".join(best)} ({dataset})')
        TERMINAL.tell('weights', short_path(weights))
        if opt['logger'].get('use_tb_logger') and 'debug' not in opt['name']:
            TERMINAL.tell('curves', f'tensorboard --logdir {short_path(Path(opt["root_path"]) / "tb_logger")}')
        TERMINAL.tell('next', self._next(weights))

    def _next(self, weights: Path) -> str:
        test = self._option_file.parent / 'test' / self._option_file.name
        if test.is_file():
            return f'{command()} test -opt {short_path(test)}'
        return f'{command()} deblur PHOTOS -o sharp --weights {short_path(weights)}'

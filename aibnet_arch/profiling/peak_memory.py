"""The highest memory of this process while something runs."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional

import psutil
import torch

SAMPLING_SECONDS = 0.002  # where the system keeps no peak
_STATUS = Path('/proc/self/status')


@contextmanager
def peak_memory(device: torch.device, *, reserved: bool = False) -> Iterator[list[int]]:
    """Gives a list that holds the highest memory within, in bytes, afterwards.

    Args:
        device: on a CPU the resident memory of the process counts, on a GPU that of the tensors.
        reserved: on a GPU all memory that PyTorch takes.
    """
    gc.collect()
    highest: list[int] = []
    reset_peak(device)
    if peak(device) is None:
        with _sampled() as samples:
            yield highest
        highest.append(max(samples))
    else:
        yield highest
        highest.append(peak(device, reserved=reserved) or 0)


def reset_peak(device: torch.device) -> None:
    """Let the highest memory count from now on."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    elif _STATUS.exists():
        Path('/proc/self/clear_refs').write_text('5')


def peak(device: torch.device, *, reserved: bool = False) -> Optional[int]:
    """Highest memory since :func:`reset_peak` in bytes, or None where the system does not tell."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_reserved(device) if reserved else torch.cuda.max_memory_allocated(device)
    lines = _STATUS.read_text().splitlines() if _STATUS.exists() else ()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith('VmHWM')), None)


@contextmanager
def _sampled() -> Iterator[list[int]]:
    """Gives a list of resident memories, of which the last is of the end."""
    process, finished = psutil.Process(), threading.Event()
    samples = [process.memory_info().rss]

    def watch() -> None:
        while not finished.wait(SAMPLING_SECONDS):
            samples[0] = max(samples[0], process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield samples
    finally:
        finished.set()
        watcher.join()
        samples.append(process.memory_info().rss)

"""Which weights of a run are tested: the newest that are whole, or those that validated best."""

from collections.abc import Iterator
from pathlib import Path

from ..errors import CheckpointError, UserError
from ..files import sha256_of
from ..weights.weight_file import WeightFile
from .folder import CheckpointFolder

LATEST = 'net_g_latest.pth'


def newest_weights(folder: CheckpointFolder) -> tuple[Path, list[str]]:
    """The newest weights of network_g.

    A run writes ``net_g_latest.pth`` when it ends; if it was lengthened, and stopped, that is not the newest.

    Returns:
        The file, and a line for each newer one that is damaged.

    Raises:
        UserError: there is none.
    """
    skipped: list[str] = []
    iterations = sorted(_iterations(folder), reverse=True)
    latest = folder.models / LATEST
    if latest.is_file():
        try:
            of_latest = WeightFile.read(latest).iteration
        except CheckpointError as error:
            skipped.append(str(error))
        else:
            # Other trainers do not say of which iteration it is: it is what the run has ended with.
            if not iterations or of_latest is None or of_latest >= iterations[0]:
                return latest, []
    for iteration in iterations:
        path = folder.models / f'net_g_{iteration}.pth'
        try:
            _verify(folder, iteration, path)
        except CheckpointError as error:
            skipped.append(str(error))
        else:
            return path, skipped
    why = f': {"; ".join(skipped)}' if skipped else ''
    raise UserError(f'there are no weights in {folder.models}{why}. Has the run begun here? --weights names any files')


def best_weights(folder: CheckpointFolder, *, dataset: str, metric: str) -> tuple[Path, float]:
    """The weights of the iteration with the best value of a metric, and that value.

    Raises:
        UserError: no validation has found one, or no checkpoint of that iteration is left.
        CheckpointError: the record of the newest checkpoint, or the file, is damaged.
    """
    for iteration in folder.iterations():
        best = ((folder.record(iteration).get('best_metrics') or {}).get(dataset) or {}).get(metric)
        if best and best['iter'] > 0:
            path = folder.models / f'net_g_{best["iter"]}.pth'
            if not path.is_file():
                raise UserError(
                    f'--best: {metric} on {dataset} was best at iteration {best["iter"]}, of which there is no '
                    'checkpoint: validate and save at the same iterations, or leave --best out'
                )
            _verify(folder, best['iter'], path)
            return path, best['val']
    raise UserError(f'--best: no validation of {metric} on {dataset} is noted in {folder.states}: leave --best out')


def _iterations(folder: CheckpointFolder) -> Iterator[int]:
    for path in folder.models.glob('net_g_*.pth'):
        number = path.stem.removeprefix('net_g_')
        if number.isdecimal():
            yield int(number)


def _verify(folder: CheckpointFolder, iteration: int, path: Path) -> None:
    """Raise CheckpointError if a file is not what its record says, or, without one, cannot be read."""
    expected = (folder.record(iteration).get('sha256') or {}).get(path.name)
    if expected is None:
        WeightFile.read(path)
    elif sha256_of(path) != expected:
        raise CheckpointError(f'{path.name} ({path.stat().st_size} bytes) differs from what was saved: damaged')

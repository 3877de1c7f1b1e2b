"""Everything that can be known to be wrong before a run starts: options, the files they name, the data.

Nothing is created or moved here. All problems are told at once: what hangs on a part that is wrong in itself is
passed over, everything else is checked.
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

from torch import nn

from ...errors import OptionError
from ...messages import LAYOUT, did_you_mean, printable
from ...registries.lookup import meant, registered
from ..problems import Place, Problem, Report, missing, problem
from ..schema.declared import SECTIONS, keys_of_dataset, keys_of_model
from ..schema.kinds import TESTING, TRAINING
from .data import check_dataset, check_together
from .disk import DiskUse, check_disk, disk_use
from .files import check_files, check_folders
from .metrics import check_metrics, largest_border
from .misspelled_keys import check_keys
from .page import check_page
from .registered import check_registered
from .sections import Given, given_sections
from .training import batch_of_run, check_devices, check_training
from .values import check_scale, check_values
from .weights import check_networks

# What upstream's pipelines go through; at anything else they stop when the run has begun.
PHASES = {True: r'train|val(_.+)?', False: r'(val|test)(_.+)?'}
TOLD_PHASES = {
    True: 'training reads train, val, val_1, val_2 and so on',
    False: 'testing reads test, test_1, val, val_1 and so on',
}


def preflight(opt: dict, *, is_train: bool, auto_resume: bool = False, decode: str = 'sample') -> Optional[DiskUse]:
    """Check the options of a run.

    Args:
        opt: as read from the file, before BasicSR's own additions. A missing `path` is added.
        decode: which pictures to decode: 'none', a 'sample', or 'all'.

    Returns:
        What a training takes of the disk, as far as the options tell.

    Raises:
        OptionError: with all the problems.
    """
    from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY

    if opt.get('path') is None:
        opt['path'] = {}
    report = Report()
    report.add(_check_keys_are_texts(opt))
    given = _with_text_keys(opt)
    datasets = given['datasets'] if isinstance(given.get('datasets'), Mapping) else {}
    report.add(_check_phases(datasets, is_train=is_train))
    datasets = {phase: options for phase, options in datasets.items() if isinstance(options, Mapping)}
    model = registered(MODEL_REGISTRY, given.get('model_type'))
    classes = {phase: registered(DATASET_REGISTRY, options.get('type')) for phase, options in datasets.items()}

    of_datasets = {
        phase: keys_of_dataset(meant(DATASET_REGISTRY, options.get('type'))) for phase, options in datasets.items()
    }
    _check_schema(list(given_sections(given, keys_of_model(model), of_datasets)), report, is_train=is_train)
    report.add(check_registered({**given, 'datasets': datasets}))
    report.add(check_metrics(given, report))

    # From here on what is wrong is left out, and what hangs on it is passed over.
    sound = {'datasets': {}, 'path': {}, **report.sound_part(given)}
    report.add(check_devices(sound))
    report.add(check_page(sound, model, is_train=is_train))
    if is_train:
        report.add(check_training(sound, model, report))
    report.add(check_files(sound))
    report.add(check_together(sound['datasets']))
    report.add(check_folders(sound, is_train=is_train))
    networks: dict[str, nn.Module] = {}
    report.add(check_networks(sound, report=report, built=networks))
    use = disk_use(sound, networks) if is_train and report.is_sound('train', 'logger', 'path', 'val') else None
    report.add(check_disk(use))
    report.add(_check_model(model, sound, report, is_train=is_train, auto_resume=auto_resume))
    for phase, dataset in sound['datasets'].items():
        is_trained = is_train and phase == 'train'
        batch = batch_of_run(sound) if is_trained and report.is_sound('num_gpu', f'datasets.{phase}') else None
        border = 0 if phase == 'train' else largest_border(sound.get('val') or {})
        report.add(
            check_dataset(phase, dataset, classes[phase], report, sound, batch=batch, border=border, decode=decode)
        )
    for warning in report.warnings:
        print(f'basicsr: warning: {printable(warning, keep=LAYOUT)}', file=sys.stderr)
    if report.problems:
        raise OptionError(list(dict.fromkeys(map(str, report.problems))))
    return use


def _check_keys_are_texts(options: Any, place: Place = ()) -> Iterator[Problem]:
    """YAML also reads numbers, dates and words like `on` as keys."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            here = (*place, str(key))
            if not isinstance(key, str):
                yield Problem(here, f'the key {key!r} is no text; write it in quotes if it is meant as one', spoils=())
            yield from _check_keys_are_texts(value, here)


def _with_text_keys(options: Any) -> Any:
    if isinstance(options, Mapping):
        return {key: _with_text_keys(value) for key, value in options.items() if isinstance(key, str)}
    return options


def _check_phases(datasets: Mapping[str, Any], *, is_train: bool) -> Iterator[Problem]:
    for phase, dataset in datasets.items():
        if not isinstance(dataset, Mapping):
            yield problem(f'datasets.{phase}', f'expected keys and values, found {dataset!r}')
        elif not re.fullmatch(PHASES[is_train], phase):
            yield Problem(('datasets', phase), TOLD_PHASES[is_train], spoils=())
    if is_train and datasets and 'train' not in datasets:
        yield missing('datasets.train', did_you_mean('train', list(datasets)))


def _check_schema(sections: Sequence[Given], report: Report, *, is_train: bool) -> None:
    """Names of keys first: what a misspelled one seems to mean is not told as missing."""
    for found, refuses in check_keys(sections):
        (report.problems if refuses else report.warnings).append(found)
    for section in sections:
        in_training = is_train and section.place in (*SECTIONS, 'datasets.train')
        wrong = check_values(section, when=TRAINING if in_training else TESTING)
        report.add([each for each in wrong if report.is_sound(each.place)])
    scale = check_scale(sections)
    report.add([each for each in scale if report.is_sound(each.place)])


def _check_model(
    model: Optional[type], opt: Mapping[str, Any], report: Report, *, is_train: bool, auto_resume: bool
) -> Iterator[Problem]:
    """What the model class itself finds wrong, if it looks (`check_options`)."""
    check = getattr(model, 'check_options', None)
    if check is None:
        return
    opt = {'path': {}, **report.sound_part(opt), 'auto_resume': auto_resume}
    found = []
    try:
        for each in check(opt if is_train else {**opt, 'train': None}):
            found.append(each)
    except Exception:  # whatever somebody's check raises over what is left out, which has been told
        if not report.problems:
            raise
    for each in found:
        each = each if isinstance(each, Problem) else Problem((), each)
        if all(report.is_sound(place) for place in each.spoiled):
            yield each

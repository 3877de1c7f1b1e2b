"""Everything that can be known to be wrong before a run starts: options, the files they name, the data.

Nothing is created or moved here. All problems are told at once: what hangs on a part that is wrong in itself is
passed over, everything else is checked.
"""

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ...errors import OptionError
from ...messages import did_you_mean
from .data import check_dataset, check_together
from .folders import check_folders
from .keys import check_keys, check_set_by_command
from .metrics import check_metrics, largest_border
from .page import check_page
from .registered import check_registered, is_trusted, registered
from .required import required_keys
from .training import batch_of_run, check_devices, check_training
from .types import check_types
from .weights import check_networks

REQUIRED = {
    True: ('name', 'model_type', 'num_gpu', 'datasets', 'network_g', 'path', 'train', 'logger'),
    False: ('name', 'model_type', 'num_gpu', 'datasets', 'network_g', 'path', 'val'),
}
REQUIRED_IN = {
    'train': ('total_iter', 'optim_g', 'scheduler'),
    'logger': ('print_freq', 'save_checkpoint_freq', 'use_tb_logger'),
    'val': ('save_img',),
}
# What the pipelines read of every dataset, beside what its class reads.
REQUIRED_OF_DATASETS = {True: ('name', 'type', 'batch_size_per_gpu', 'num_worker_per_gpu'), False: ('name', 'type')}
# Of these keys `~` is no value, whatever the dataset.
NEVER_NONE = (*REQUIRED_OF_DATASETS[True], 'io_backend', 'gt_size', 'dataroot_lq', 'dataroot_gt')
# What upstream's pipelines go through; at anything else they stop when the run has begun.
PHASES = {True: r'train|val(_.+)?', False: r'(val|test)(_.+)?'}
TOLD_PHASES = {
    True: 'training reads train, val, val_1, val_2 and so on',
    False: 'testing reads test, test_1, val, val_1 and so on',
}
SECTIONS = ('path', 'train', 'logger', 'val', 'datasets', 'network_g')


def preflight(opt: dict, *, is_train: bool, auto_resume: bool = False, decode: str = 'sample') -> None:
    """Check the options of a run.

    Args:
        opt: as read from the file, before BasicSR's own additions. A missing `path` is added.
        is_train: training or testing.
        auto_resume: the command's flag.
        decode: which pictures to decode: 'none', a 'sample', or 'all'.

    Raises:
        OptionError: with all the problems.
    """
    from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY

    if opt.get('path') is None:
        opt['path'] = {}
    problems = [*_check_keys_are_texts(opt), *_check_sections(opt, is_train=is_train)]
    # What has no structure has been told above; the other checks do not see it.
    sound = _with_text_keys(opt)
    for section in SECTIONS:
        if not isinstance(sound.get(section), Mapping):
            sound[section] = {} if section == 'path' else None
    sound['datasets'] = {
        phase: dataset for phase, dataset in (sound.get('datasets') or {}).items() if isinstance(dataset, Mapping)
    }
    model = registered(MODEL_REGISTRY, sound.get('model_type'))
    classes = {phase: registered(DATASET_REGISTRY, dataset.get('type')) for phase, dataset in sound['datasets'].items()}
    known = {phase: cls for phase, cls in classes.items() if cls is not None}
    broken = tuple(f'{place}{end}' for place in _places(problems) for end in '.: ')
    required = _check_required(sound, known, is_train=is_train)
    problems += [problem for problem in required if not problem.startswith(broken)]
    others = [phase for phase, cls in classes.items() if not (cls and is_trusted(cls))]
    problems += check_types(sound, others=others)
    problems += [*check_registered(sound), *check_metrics(sound['val'] or {})]
    problems += check_devices(sound)
    # What hangs on a part that is wrong in itself would only stumble over it.
    wrong = {place for place in (*sound, *(f'datasets.{phase}' for phase in known)) if _below(problems, place)}
    problems += [*check_keys(sound, model, known), *check_set_by_command(sound)]
    problems += check_page(sound, model, is_train=is_train)
    train_is_whole = is_train and 'train' not in wrong and bool(sound.get('train'))
    if train_is_whole:
        problems += check_training(sound, model)
    problems += _check_files(sound)
    problems += check_together(sound['datasets'])
    if 'path' not in wrong:
        problems += check_folders(sound, is_train=is_train)
        problems += check_networks(sound, wrong=wrong)
    can_ask = not wrong & {'path', 'val', 'scale'} and not _below(problems, 'network_g') and bool(sound['network_g'])
    if model and can_ask and (train_is_whole or not is_train):
        problems += _check_model(model, {**sound, 'auto_resume': auto_resume}, is_train=is_train)
    for phase, dataset in sound['datasets'].items():
        if phase in known and not wrong & {f'datasets.{phase}', 'scale'}:
            batch = batch_of_run(sound) if phase == 'train' and 'num_gpu' in sound and 'num_gpu' not in wrong else None
            border = 0 if phase == 'train' else largest_border(sound['val'] or {})
            problems += check_dataset(
                phase, dataset, known[phase], scale=sound.get('scale') or 1, batch=batch, border=border, decode=decode
            )
    if problems:
        raise OptionError(list(dict.fromkeys(problems)))


def _below(problems: list[str], place: str) -> bool:
    """Whether one of the problems lies in a place."""
    return any(problem.startswith((f'{place}.', f'{place}:', f'{place} ')) for problem in problems)


def _places(problems: list[str]) -> set[str]:
    return {problem.partition(': ')[0] for problem in problems}


def _check_keys_are_texts(options: Any, place: str = '') -> Iterator[str]:
    """YAML also reads numbers, dates and words like `on` as keys."""
    if isinstance(options, Mapping):
        for key, value in options.items():
            here = f'{place}.{key}' if place else f'{key}'
            if not isinstance(key, str):
                yield f'{here}: the key {key!r} is no text; write it in quotes if it is meant as one'
            yield from _check_keys_are_texts(value, here)


def _with_text_keys(options: Any) -> Any:
    if isinstance(options, Mapping):
        return {key: _with_text_keys(value) for key, value in options.items() if isinstance(key, str)}
    return options


def _check_sections(opt: Mapping[str, Any], *, is_train: bool) -> Iterator[str]:
    for section in SECTIONS:
        if opt.get(section) is not None and not isinstance(opt[section], Mapping):
            yield f'{section}: expected keys and values, found {opt[section]!r}'
    datasets = opt.get('datasets')
    for phase, dataset in datasets.items() if isinstance(datasets, Mapping) else ():
        if not isinstance(dataset, Mapping):
            yield f'datasets.{phase}: expected keys and values, found {dataset!r}'
        elif isinstance(phase, str) and not re.fullmatch(PHASES[is_train], phase):
            yield f'datasets.{phase}: {TOLD_PHASES[is_train]}'


def _check_required(opt: Mapping[str, Any], classes: Mapping[str, type], *, is_train: bool) -> Iterator[str]:
    others = [key for key in opt if key not in REQUIRED[is_train]]
    for key in REQUIRED[is_train]:
        if opt.get(key) is None:
            yield f'{key} is missing{did_you_mean(key, others)}'
    for section in ('network_g', 'datasets'):
        if opt.get(section) == {}:
            yield f'{"network_g" if opt.get("network_g") == {} else "datasets"}: there is nothing in it'
    for section, required in REQUIRED_IN.items():
        options = opt.get(section)
        if options is not None:
            for key in required:
                if options.get(key) is None:
                    yield f'{section}.{key} is missing{did_you_mean(key, [k for k in options if k not in required])}'
    for phase, dataset in opt['datasets'].items():
        cls = classes.get(phase)
        of_class = required_keys(cls, training=phase == 'train') if cls else ()
        if 'scale' in of_class and opt.get('scale') is None:
            yield f'scale is missing{did_you_mean("scale", others)}'
        required = [key for key in (*REQUIRED_OF_DATASETS[phase == 'train'], *of_class) if key != 'scale']
        for key in required:
            if key not in dataset or (key in NEVER_NONE and dataset[key] is None):
                yield f'datasets.{phase}.{key} is missing{did_you_mean(key, [k for k in dataset if k not in required])}'


def _check_files(opt: Mapping[str, Any]) -> Iterator[str]:
    """Weights and states that do not exist; the encoder's are the model class's to explain."""
    for key, value in opt['path'].items():
        names_file = key == 'resume_state' or key.startswith('pretrain_network_')
        if not names_file or not isinstance(value, str) or key == 'pretrain_network_encoder':
            continue
        if not os.path.isfile(os.path.expanduser(value)):
            yield f'path.{key}: there is no file {value}'


def _check_model(model: type, opt: Mapping[str, Any], *, is_train: bool) -> Iterator[str]:
    """What the model class itself finds wrong, if it looks (`check_options`)."""
    check: Optional[Any] = getattr(model, 'check_options', None)
    if check:
        yield from check(opt if is_train else {**opt, 'train': None})

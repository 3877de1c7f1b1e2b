"""What a study runs: option files, each with several seeds, some on the weights of others.

A study is given as option files, or as one plan file (YAML)::

    base: AIBNet-S            # the name that the others are compared with; the first by default
    seeds: [0, 1, 2]          # unless --seeds are given
    runs:
      - options/ablation/small/AIBNet-S.yml
      - option_file: options/ablation/small/NAFNet.yml
        seeds: [0]                                      # its own, whatever the others' are
      - option_file: options/ablation/small/AIBNet-S_pretrained_frozen.yml
        weights: {pretrain_network_encoder: NAFNet}     # path.pretrain_network_encoder: what the run NAFNet trained

A run with weights takes those of the same seed, or of the only seed that there is. Claims of a paper may follow: see
:mod:`.claims`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from ..config.option_file import load_option_file
from ..errors import OptionError, UserError
from ..messages import did_you_mean, printable
from .claims import Claim, read_claims
from .scaling import scale_iterations

PLAN_KEYS = ('base', 'seeds', 'runs', 'claims')
ENTRY_KEYS = ('option_file', 'seeds', 'weights')
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Entry:
    """One option file of a study.

    Attributes:
        options: of training, before seed and place are set.
        seeds: one run each.
        weights: key below `path` to the name of the entry whose trained weights go there.
    """

    name: str
    file: str
    options: dict[str, Any]
    seeds: tuple[int, ...]
    weights: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        needs: the runs whose weights it takes, by the key below `path`.
        digest: of everything that decides the outcome; equal digests need not be run twice.
    """

    name: str
    entry: str
    seed: int
    options: dict[str, Any]
    needs: Mapping[str, 'Run']
    digest: str
    folder: Path

    @property
    def weights(self) -> Path:
        """What it has trained when it is finished."""
        return Path(self.options['path']['experiments_root']) / self.name / 'models' / 'net_g_latest.pth'


@dataclass(frozen=True)
class Plan:
    """All entries of a study, which of them the others are compared with, and the claims that it tests."""

    entries: Sequence[Entry]
    base: str
    claims: Sequence[Claim] = ()

    def runs(self, out: Path) -> list[Run]:
        """The runs, those that others need before them; all first seeds before all second ones."""
        made: dict[tuple[str, int], Run] = {}
        entries = {entry.name: entry for entry in self.entries}

        def make(entry: Entry, seed: int) -> Run:
            if (entry.name, seed) not in made:
                needs = {}
                for key, provider in entry.weights.items():
                    seeds = entries[provider].seeds
                    needs[key] = make(entries[provider], seed if seed in seeds else seeds[0])
                made[entry.name, seed] = _run(entry, seed, needs, out)
            return made[entry.name, seed]

        for turn in range(max(len(entry.seeds) for entry in self.entries)):
            for entry in self.entries:
                if turn < len(entry.seeds):
                    make(entry, entry.seeds[turn])
        return list(made.values())


def read_plan(
    files: Sequence[str],
    *,
    seeds: Optional[Sequence[int]] = None,
    base: Optional[str] = None,
    scale: float = 1.0,
    total: Optional[int] = None,
) -> Plan:
    """Read option files, or one plan file.

    Args:
        seeds: of the entries that name none of their own.
        total: the base's ``total_iter`` instead; all others are scaled as it is.

    Raises:
        OptionError, UserError: everything that is wrong with the plan; the option files themselves are checked later.
    """
    items, claims = list(files), None
    if len(files) == 1:
        document = load_option_file(files[0])
        if 'runs' in document:
            _refuse_unknown(document, PLAN_KEYS, files[0])
            items, base, claims = document['runs'], base or document.get('base'), document.get('claims')
            if not seeds and document.get('seeds') is not None:
                seeds = _seeds(document['seeds'], f'{files[0]}: seeds')
    if not isinstance(items, list) or not items:
        raise OptionError([f'{files[0]}: runs: expected a list of option files'])
    entries = [_entry(item, _seeds(seeds or SEEDS, '--seeds'), number) for number, item in enumerate(items, start=1)]
    tested, problems = read_claims(claims, [entry.name for entry in entries], file=files[0])
    problems = [*_problems(entries, base), *problems]
    if problems:
        raise OptionError(problems)
    base = base or entries[0].name
    if total is not None:
        scale = total / next(entry for entry in entries if entry.name == base).options['train']['total_iter']
    for entry in entries:
        if scale != 1:
            _scale(entry, scale)
    return Plan(entries, base, tested)


def _scale(entry: Entry, factor: float) -> None:
    try:
        scale_iterations(entry.options, factor)
    except (TypeError, ValueError, AttributeError) as error:  # what `basicsr check` says of unscaled options is plainer
        raise OptionError(
            [f'{entry.file}: its iterations cannot be scaled ({error}); see `basicsr check -opt {entry.file}`']
        ) from error


def _entry(item: Any, seeds: tuple[int, ...], number: int) -> Entry:
    place = f'run {number}'
    item = {'option_file': item} if isinstance(item, str) else item
    if not isinstance(item, Mapping) or not isinstance(item.get('option_file'), str):
        raise OptionError([f'{place}: expected an option file, or a mapping with the key option_file; found {item!r}'])
    _refuse_unknown(item, ENTRY_KEYS, place)
    file = item['option_file']
    options = load_option_file(file)
    found = _wrong(options)
    if found:
        raise OptionError([f'{printable(file)}{each}' for each in found])
    options['path'] = options['path'] or {}
    weights = item.get('weights') or {}
    if not isinstance(weights, Mapping):
        raise OptionError([f'{place}: weights: expected keys of `path` and names of runs, found {weights!r}'])
    own = _seeds(item['seeds'], f'{place}: seeds') if item.get('seeds') is not None else seeds
    return Entry(options['name'], file, options, own, dict(weights))


def _wrong(options: Mapping[str, Any]) -> list[str]:
    """What keeps options from being those of a run; `basicsr check` says the rest."""
    needed = ('name', 'datasets', 'network_g', 'path', 'train', 'logger')
    missing = [key for key in needed if not options.get(key) and not (key == 'path' and key in options)]
    if missing:
        return [f' holds no options of training: {", ".join(missing)} missing']
    sections = ('datasets', 'path', 'train', 'logger', 'val')
    wrong = [key for key in sections if options.get(key) is not None and not isinstance(options[key], Mapping)]
    if wrong:
        return [f': {key}: expected keys and values' for key in wrong]
    name, total, datasets = options['name'], options['train'].get('total_iter'), options['datasets']
    path, val = options['path'] or {}, options.get('val') or {}
    compares = ': a study compares what validations find: '
    checks = {
        f': train.total_iter: expected a number of iterations, found {total!r}': type(total) is int and total > 0,
        f'{compares}set val.val_freq and val.metrics': val.get('metrics') and val.get('val_freq'),
        f': name: expected text, found {name!r}': isinstance(name, str),
        ' holds no options of training: datasets.train is missing': 'train' in datasets,
        f'{compares}datasets has no val': any(phase.startswith('val') for phase in datasets),
        ': path.resume_state: a study begins at the first iteration; leave it out': not path.get('resume_state'),
    }
    return [text for text, holds in checks.items() if not holds]


def _problems(entries: Sequence[Entry], base: Optional[str]) -> list[str]:
    names = [entry.name for entry in entries]
    problems = [
        f'two option files have the name {name!r}: names tell runs apart'
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if base is not None and base not in names:
        problems.append(f'base: no run has the name {base!r}{did_you_mean(base, names)}; there are {", ".join(names)}')
    measured = [_figures(entry.options) for entry in entries]
    if not set.intersection(*measured):
        problems.append('all option files need one figure in common: the same datasets.val.name and key of val.metrics')
    for entry in entries:
        for key, provider in entry.weights.items():
            place = f'{entry.name}: weights: {key}'
            if not str(key).startswith('pretrain_network_'):
                problems.append(f'{place}: expected a key of `path` such as pretrain_network_encoder')
            if provider not in names:
                problems.append(f'{place}: no run has the name {provider!r}{did_you_mean(provider, names)}')
                continue
            seeds = entries[names.index(provider)].seeds
            lacking = [seed for seed in entry.seeds if seed not in seeds]
            if lacking and len(seeds) > 1:
                problems.append(f'{place}: {provider} has no run with seed {lacking[0]}; give it one seed, or the same')
    return problems or _circles(entries)


def _figures(options: Mapping[str, Any]) -> set[tuple[str, str]]:
    sets = [value for phase, value in options['datasets'].items() if phase.startswith('val')]
    names = [each.get('name') for each in sets if isinstance(each, Mapping)]
    return {(str(name), str(metric)) for name in names for metric in options['val']['metrics']}


def _circles(entries: Sequence[Entry]) -> list[str]:
    needs = {entry.name: set(entry.weights.values()) for entry in entries}
    while ready := [name for name, others in needs.items() if not others & needs.keys()]:
        for name in ready:
            del needs[name]
    return [f'weights: {", ".join(needs)} wait for each other'] if needs else []


def _seeds(seeds: Any, place: str) -> tuple[int, ...]:
    whole = isinstance(seeds, Sequence) and all(type(seed) is int and 0 <= seed < 2**31 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise OptionError([f'{place}: expected different whole numbers from 0 to 2147483647, found {seeds!r}'])
    return tuple(seeds)


def _refuse_unknown(mapping: Mapping, known: Sequence[str], place: str) -> None:
    unknown = [key for key in mapping if key not in known]
    if unknown:
        raise UserError(f'{place}: {unknown[0]!r} is no key of a study plan{did_you_mean(unknown[0], known)}')


def _run(entry: Entry, seed: int, needs: Mapping[str, Run], out: Path) -> Run:
    name = f'{entry.name}-s{seed}'
    options = deepcopy(entry.options)
    options['manual_seed'] = seed
    decisive = {key: value for key, value in options.items() if key not in ('name', 'logger', 'num_gpu')}
    decisive['weights'] = {key: provider.digest for key, provider in needs.items()}
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True, default=str).encode()).hexdigest()
    options['name'] = name
    options['num_gpu'] = 0 if options.get('num_gpu') == 0 else 'auto'  # a run sees one GPU, or none
    options['path']['experiments_root'] = str(out.resolve() / 'experiments')
    for key, provider in needs.items():
        options['path'][key] = str(provider.weights)
    options['logger']['use_tb_logger'] = False  # it would be written elsewhere
    options['logger'].pop('wandb', None)
    if not options['logger'].get('keep_checkpoints'):
        options['logger']['keep_checkpoints'] = 2
    return Run(name, entry.name, seed, options, dict(needs), digest, out / 'runs' / name)

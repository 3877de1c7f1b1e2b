"""Option files: values of any kind anywhere, keys that are no keys, text that is no YAML."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tools.hostile_case import Case, Sandbox, hostile_text, hostile_value, nested

NUMBERS = (
    '0x' + 'f' * 5000,
    '9' * 5000,
    '1e999999',
    '.inf',
    '0b' + '1' * 9000,
    '1:' * 3000 + '1',
    '-.nan',
    '2001-13-45',
)


def option_case(sandbox: Sandbox, rng: random.Random) -> Case:
    """A file for `check`, at times for `train` or `test`, or `--force_yml`."""
    command = rng.choices(('check', 'train', 'test', 'profile'), (6, 1, 2, 1))[0]
    opt = sandbox.test_options() if command == 'test' else sandbox.option_copy()
    way = rng.choice(('values', 'values', 'values', 'keys', 'deep', 'raw', 'bytes', 'force', 'paths'))
    told: Any = way
    flags: list[str] = []
    if way in ('values', 'keys', 'deep'):
        told = []
        for _ in range(rng.randint(1, 4)):
            section, key = rng.choice(list(_places(opt)))
            value = hostile_value(rng)
            if way == 'deep':
                value = nested(rng, value)
            if way == 'keys':
                key = hostile_text(rng) if rng.random() < 0.8 else rng.choice((1, None, True, 1.5))
            section[key] = value
            told.append((key, repr(value)[:200]))
    sandbox.write_options(opt)
    if way == 'paths':
        keys = ('experiments_root', 'results_root', 'pretrain_network_g', 'resume_state', 'pretrain_network_encoder')
        told = rng.choice(keys), hostile_value(rng) if rng.random() < 0.5 else rng.choice(_PATHS)
        opt['path'][told[0]] = told[1]
        sandbox.write_options(opt)
    elif way == 'raw':
        lines = Path('opt.yml').read_text().splitlines()
        told = rng.choice(
            ('!!python/object/apply:os.system [id]', *NUMBERS, '&a [*a]', '*nothing', '[', '{', '\t', '? [', '%')
        )
        place = rng.randrange(len(lines))
        lines[place] = lines[place].partition(':')[0] + ': ' + told
        Path('opt.yml').write_text('\n'.join(lines))
    elif way == 'bytes':
        content = bytearray(Path('opt.yml').read_bytes())
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        Path('opt.yml').write_bytes(bytes(content))
    elif way == 'force':
        text = rng.choice((*NUMBERS, hostile_text(rng)))
        key = rng.choice(
            ('train:total_iter', 'name', 'datasets:train:gt_size', 'path:experiments_root', hostile_text(rng))
        )
        flags = ['--force_yml', f'{key}={text}'.replace('\x00', '')]
        told = flags
    return Case([command, '-opt', 'opt.yml', *flags, *_size(command)], (command, told))


_PATHS = (
    '/proc',
    '/sys',
    '/proc/self/mem',
    '/dev/full',
    'sound.pth',
    'opt.yml',
    'a' * 5000,
    '\udcff',
    '\ud800',
    'd/' * 2000,
)


def _size(command: str) -> list[str]:
    return ['--size', '16', '16', '--repeats', '1'] if command == 'profile' else []


def _places(options: Any) -> Iterator[tuple[dict, Any]]:
    for key, value in options.items():
        yield options, key
        if isinstance(value, dict):
            yield from _places(value)

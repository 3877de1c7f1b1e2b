"""A run's folder before `train --auto_resume`: states, records, history and locks that somebody has crafted."""

import json
import os
import random
from pathlib import Path
from typing import Any

import torch

from aibnet_arch.checkpoints.folder import sealed
from aibnet_arch.files import sha256_of
from tools.hostile_case import Case, Sandbox, hostile_text, hostile_value, nested

NEWEST = 3


def state_case(sandbox: Sandbox, rng: random.Random) -> Case:
    """What is crafted is sealed anew, so that checksums agree."""
    run = sandbox.bring_run()
    opt = sandbox.option_copy()
    way = rng.choice(('state', 'state', 'extra', 'optimizer', 'record', 'history', 'lock', 'names', 'sgd'))
    told: Any = way
    state_path = run / f'training_states/{NEWEST}.state'
    if way in ('state', 'extra', 'optimizer'):
        state = torch.load(state_path, weights_only=False)
        place = {'state': state, 'extra': state['extra'], 'optimizer': state['optimizers'][0]}[way]
        key = rng.choice(list(place))
        place[key] = rng.choice((hostile_value(rng), nested(rng, 1)))
        told = way, key, repr(place[key])[:200]
        torch.save(state, state_path)
        _seal(run)
    elif way == 'record':
        record = json.loads((run / f'training_states/{NEWEST}.json').read_text())
        record.pop('sha256_of_this')
        key = rng.choice(list(record))
        record[key] = _jsonable(hostile_value(rng))
        told = way, key, repr(record[key])[:200]
        (run / f'training_states/{NEWEST}.json').write_bytes(sealed(record))
    elif way == 'history':
        line = rng.choice(
            ('{', '[]', 'null', '\x1b[2K', '"' + 'x' * 10**5, '[' * 10**5, '{"iteration": NaN}', '\udcff')
        )
        with (run / 'history.jsonl').open('a', errors='surrogateescape') as file:
            file.write(f'{line}\n')
        told = way, line[:40]
    elif way == 'lock':
        told = _lock(Path('experiments/.run.lock'), rng)
    elif way == 'names':
        name = hostile_text(rng).replace('/', '_').replace('\x00', '')[:60]
        for ending in ('.state', '.json'):
            (run / f'training_states/{name}{ending}').write_bytes(b'x')
        (run / 'training_states/99999.state').write_bytes(b'PK')
        (run / 'training_states/٣.state').write_bytes(b'PK')
        told = way, name
    else:
        opt['train']['optim_g'] = {'type': 'SGD', 'lr': 1e-3}
    sandbox.write_options(opt)
    return Case(['train', '-opt', 'opt.yml', '--auto_resume'], told)


def _seal(run: Path) -> None:
    path = run / f'training_states/{NEWEST}.json'
    record = json.loads(path.read_text())
    record.pop('sha256_of_this')
    record['sha256'][f'{NEWEST}.state'] = sha256_of(run / f'training_states/{NEWEST}.state')
    path.write_bytes(sealed(record))


def _jsonable(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _lock(path: Path, rng: random.Random) -> str:
    kind = rng.choice(('folder', 'pipe', 'link', 'text'))
    if kind == 'folder':
        path.mkdir()
    elif kind == 'pipe':
        os.mkfifo(path)
    elif kind == 'link':
        path.symlink_to('../opt.yml')
    else:
        path.write_text(hostile_text(rng), errors='surrogatepass')
    return f'lock {kind}'

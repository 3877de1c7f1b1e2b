"""The schema of options, and what is written from it: the reference page and the JSON Schema."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import jsonschema
import pytest

from aibnet_arch.config.option_file import load_option_file
from aibnet_arch.config.schema.aibnet import OF_AIBNET_MODEL, STRATEGIES
from aibnet_arch.config.schema.datasets import OF_DATASETS, Loading
from aibnet_arch.config.schema.declared import names
from aibnet_arch.config.schema.models import OF_MODELS
from aibnet_arch.modeling.arguments import AT_LEAST, CHOICES, STARTS
from aibnet_arch.training.settings import TrainingSettings
from aibnet_arch.training.stage_plan import StagePlan
from tests.test_wrong_options import WRONG
from tests.training import options
from tools.option_reference import PAGE, ROOT, SCHEMA

SHIPPED = sorted(path for path in (ROOT / 'options').rglob('*.yml') if path.parent.name != 'ablation')  # plans
# The other faults of WRONG lie in files, in two options together, in what other packages may bring, or need a try.
SCHEMA_KNOWS = """
a key of the top level|a key of train|warmup|a key of val|a key of logger|a key of wandb|a key of path
a path of no network|a key of a dataset|a key of the backend|a key of another model class|total_iters
a key of another section|a key one level too high|a key of a dataset at the top|a key of another dataset class
an option of AIBNetModel|a network that nothing trains|a key of dist_params|optimizer|scheduler|phase|prefetch mode
a backend|argument of the network|argument of the loss|argument of the metric|argument of the optimizer
argument of the scheduler|betas|metric without its argument|text for a number|text for a size|text for a switch
number for a switch|zero|text for a frequency|ema|clipping|workers|seed|better|devices|a slash|a list for a section
a path that is a number|precision|no ema|no warmup|strictness|no crop_border|metrics as a list|wandb as a name
a scheduler as a name|milestones|datasets as a number|a dataset as a path|a zero byte|a dataset named as a path
a suffix that is a path|a seed beyond numpy|a weight of the loss|a text for the optimizer|a switch as a text
a number as a text|true sub-decoders|a flag as an option|a folder of the run|two datasets to train on|all of val
all of network_g|no learning rate|a dataset without its folder|no loss|no backend|no use_rot|no use_vflip|no gt_size
no name of a dataset|no val_freq
"""


def every_model():
    models = [model for sections in (*OF_MODELS.values(), OF_AIBNET_MODEL) for model in sections.values()]
    return list(dict.fromkeys([*models, *OF_DATASETS.values(), Loading]))


@pytest.fixture(scope='module')
def validator():
    schema = json.loads(SCHEMA.read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


def plain(value):
    """Without OrderedDict and tuples."""
    return json.loads(json.dumps(value))


def test_page_and_json_schema_are_those_of_the_schema(tmp_path):
    """In a process of its own: other tests register classes."""
    subprocess.run([sys.executable, '-m', 'tools.option_reference', tmp_path], cwd=ROOT, check=True)
    for path in (PAGE, SCHEMA):
        written = (tmp_path / path.relative_to(ROOT)).read_text()
        assert path.read_text() == written, f'make options writes another {path.name}'


def test_every_key_says_what_it_does():
    for model in every_model():
        for name, field in model.model_fields.items():
            assert field.description, f'{model.__name__}.{name}'


@pytest.mark.parametrize('path', SHIPPED, ids=lambda path: f'{path.parent.name}/{path.stem}')
def test_shipped_files_are_valid_and_tell_editors_where_the_schema_is(path, validator):
    assert [error.message for error in validator.iter_errors(plain(load_option_file(path)))] == []
    first = path.read_text().splitlines()[0]
    found = re.fullmatch(r'# yaml-language-server: \$schema=(\S+)', first)
    assert (path.parent / found[1]).resolve() == SCHEMA


def test_the_options_of_the_tests_are_valid(validator):
    assert validator.is_valid(options())


@pytest.mark.parametrize('fault', SCHEMA_KNOWS.strip().replace('\n', '|').split('|'))
def test_wrong_files_are_marked(fault, validator):
    opt = options()
    WRONG[fault][0](opt)
    assert not validator.is_valid(plain(opt))


def test_a_misspelled_key_is_marked_where_it_stands(validator):
    opt = options(ema_decayy=0.9)

    def deepest(errors):
        for error in errors:
            yield from deepest(error.context) if error.context else [error]

    told = [(list(error.absolute_path), error.message) for error in deepest(validator.iter_errors(opt))]
    assert any(place == ['train'] and "'ema_decayy' was unexpected" in message for place, message in told)


@pytest.mark.parametrize(
    ('argument', 'wrong', 'right'),
    [
        ('encoder', 'nafnett', 'ufpnet'),
        ('fusion', 'SAM', 'sam'),
        ('width', 0, 1),
        ('num_sub_decoders', 0, 4),
        ('num_masks', -1, 0),
        ('alpha_deviation', 0, 0.2),
        ('lambda_init', -2000, None),
        ('encoder_blocks', [1, 1, 28], [1, 1, 1, 28]),
        ('encoder_blocks', [1, 1, 1, -28], [0, 1, 1, 28]),
        ('heads', 0, 2),
        ('heads', [1, 2, 4], [1, 2, 4, 8]),
    ],
)
def test_values_of_the_network_are_marked(argument, wrong, right, validator):
    for value, is_right in ((wrong, False), (right, True)):
        opt = options()
        opt['network_g'][argument] = value
        assert validator.is_valid(opt) == is_right, value


def test_every_argument_of_the_network_with_a_range_has_it_in_the_schema():
    known = json.loads(SCHEMA.read_text())['definitions']['network AIBNet']['properties']
    for name in (*AT_LEAST, *STARTS):
        assert 'minimum' in known[name], name
    for name, choices in CHOICES.items():
        assert set(known[name].get('enum') or known[name]['examples']) <= set(choices), name


def test_a_strategy_that_there_is_not_is_marked(validator):
    assert not validator.is_valid(options(strategy='directly'))
    for strategy in STRATEGIES:
        opt = {**options(), 'train': {**options()['train'], 'strategy': strategy, 'stage_iter': None}}
        assert validator.is_valid(opt), strategy
        opt['network_g']['num_sub_decoders'] = 1
        assert StagePlan.from_options(opt).progressive == (strategy == 'progressive')


def test_keys_of_classes_of_other_packages_are_open(validator):
    opt = options()
    opt['model_type'], opt['network_g'] = 'SomeModel', {'type': 'SomeNetwork', 'depth': 3}
    opt['train']['curriculum'], opt['anything'] = 'hard', 1
    opt['datasets']['val'].update(type='SomeDataset', noise=1)
    assert validator.is_valid(opt)
    opt['train']['total_iter'] = 'five'  # of which every model class is
    assert not validator.is_valid(opt)


def test_settings_of_training_are_declared_with_their_defaults():
    declared = OF_AIBNET_MODEL['train'].model_fields
    assert {each.name: each.default for each in fields(TrainingSettings)} == {
        each.name: declared[each.name].default for each in fields(TrainingSettings)
    }


def test_reference_has_every_key():
    page = Path(ROOT / 'docs/options.md').read_text()
    for model in every_model():
        for name in names(model):
            assert f'| `{name}` |' in page, f'{model.__name__}.{name}'

"""The JSON Schema of option files, with which editors complete keys, show what they do and mark misspelled ones."""

import json
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel

from ..modeling import AIBNet
from .schema.declared import SECTIONS, keys_of_dataset, keys_of_model, needed_when
from .schema.kinds import TESTING, TRAINING
from .schema.network_arguments import values_of_arguments
from .schema.signatures import json_schema as schema_of_call

_REF = '#/definitions/{model}'
_HIDDEN = ('title', 'needed', 'whose')  # pydantic's names of things, and what is for the checks and the reference
_HAS_TRAINING_SET = {'required': ['datasets'], 'properties': {'datasets': {'required': ['train']}}}
_GIVEN = ('img', 'img2')  # what a metric gets from the validation


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 7) of all classes that are registered with BasicSR.

    Keys of classes that it does not know are open: another package may bring them.
    """
    from basicsr.utils import registry

    schema = _Schema()
    models = {cls.__name__: schema.run(cls) for _, cls in registry.MODEL_REGISTRY}
    datasets = {cls.__name__: cls for _, cls in registry.DATASET_REGISTRY}
    for phase in (TRAINING, TESTING):
        ways = {name: schema.dataset(cls, phase) for name, cls in datasets.items()}
        schema.definitions[f'dataset of {phase}'] = _by_name('type', ways, other=schema.dataset(None, phase))
    for name, things, without in (
        ('network', _named(registry.ARCH_REGISTRY, ('aibnet_arch',)), ()),
        ('Loss', _named(registry.LOSS_REGISTRY, ('aibnet_arch', 'basicsr')), ()),
        ('Metric', _named(registry.METRIC_REGISTRY, ('aibnet_arch', 'basicsr')), _GIVEN),
    ):
        common = schema.definitions.get(name, {}).get('properties', {})
        ways = {key: schema.call(f'{name} {key}', thing, common, without) for key, thing in things.items()}
        schema.definitions[name] = {'type': 'object', 'required': ['type'], **_by_name('type', ways, common)}
    datasets_of_run = {
        'type': 'object',
        'properties': {'train': _ref('dataset of training')},
        'patternProperties': {r'^(val|test)(_.+)?$': _ref('dataset of testing')},
        'additionalProperties': False,
    }
    schema.definitions['datasets'] = datasets_of_run
    described = {'model_type': {'description': 'the model class', 'examples': list(models)}}
    return {
        '$schema': 'http://json-schema.org/draft-07/schema#',
        'title': 'Options of a training or test with BasicSR and AIBNet',
        'type': 'object',
        **_by_name('model_type', models, described, other=schema.run(None)),
        'definitions': dict(sorted(schema.definitions.items())),
    }


def as_text(schema: Mapping[str, Any]) -> str:
    """The file's text, a definition on each line."""
    head = json.dumps({key: value for key, value in schema.items() if key != 'definitions'}, ensure_ascii=False)
    lines = (
        f'{json.dumps(name)}: {json.dumps(each, ensure_ascii=False)}' for name, each in schema['definitions'].items()
    )
    return f'{head[:-1]},\n"definitions": {{\n' + ',\n'.join(lines) + '\n}}\n'


class _Schema:
    """Collects definitions."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def run(self, cls: Any) -> dict[str, Any]:
        """A reference to the options of a model class; None: of any."""
        declared, name = keys_of_model(cls), cls.__name__ if cls else 'any model class'
        sections = {key: self.section(f'{key} of {name}', declared.sections[key]) for key in SECTIONS[1:]}
        top = self._of(declared.sections[''], ())
        for section, reference in sections.items():
            top['properties'][section].pop('type')
            top['properties'][section]['anyOf'] = [reference, {'type': 'null'}]
        for key, value in top['properties'].items():
            if key.startswith('network_') or key == 'datasets':
                value['allOf'] = [_ref('datasets' if key == 'datasets' else 'network')]
        if cls is None:  # which keys there are is not known
            top['patternProperties'] = {'^network_': _ref('network')}
        model = declared.sections['']
        required = [key for key, field in model.model_fields.items() if field.is_required()]
        top['if'] = _HAS_TRAINING_SET
        top['then'] = {
            'required': required + needed_when(model, TRAINING),
            'properties': {'val': {'required': needed_when(declared.sections['val'], TRAINING)}},
        }
        top['else'] = {'required': required + needed_when(model, TESTING)}
        top.pop('required')
        return self._define(name, top, is_open=cls is None)

    def section(self, name: str, model: type[BaseModel]) -> dict[str, Any]:
        """A reference to a section; `train` is there in training alone."""
        needed = needed_when(model, TRAINING) if name.startswith('train') else []
        return self._define(name, self._of(model, needed), is_open=name.endswith('any model class'))

    def dataset(self, cls: Any, phase: str) -> dict[str, Any]:
        """The schema of the options of a dataset in training or in testing; None: of any dataset."""
        model = keys_of_dataset(cls).sections['']
        reference = self._define(cls.__name__ if cls else 'any dataset', self._of(model, ()), is_open=cls is None)
        return {'allOf': [reference, {'required': needed_when(model, phase)}]}

    def call(self, name: str, called: Callable, common: Mapping[str, Any], without: tuple[str, ...]) -> dict[str, Any]:
        """A reference to a `type` and the keywords of what is called."""
        schema = schema_of_call(called, without=without)
        shared = {key: value for key, value in common.items() if key in (*schema['properties'], 'better')}
        schema['properties'] = {'type': {}, **_clean(schema['properties']), **shared}
        for argument, values in values_of_arguments().items() if called is AIBNet else ():
            schema['properties'][argument] |= values
        return self._define(name, schema, is_open=schema['additionalProperties'])

    def _of(self, model: type[BaseModel], needed: Iterable[str]) -> dict[str, Any]:
        schema = _clean(model.model_json_schema(ref_template=_REF))
        for name, definition in schema.pop('$defs', {}).items():
            definition.pop('description', None)
            self.definitions.setdefault(name, {**definition, 'additionalProperties': False})
        schema['required'] = [*schema.get('required', ()), *needed]
        return schema

    def _define(self, name: str, schema: dict[str, Any], *, is_open: bool) -> dict[str, Any]:
        schema.pop('description', None)
        schema['additionalProperties'] = is_open
        same = next((known for known, other in self.definitions.items() if other == schema), name)
        self.definitions[same] = schema
        return _ref(same)


def _ref(name: str) -> dict[str, Any]:
    return {'$ref': _REF.format(model=name)}


def _by_name(
    key: str, ways: Mapping[str, Any], properties: Mapping[str, Any] = MappingProxyType({}), *, other: Any = True
) -> dict[str, Any]:
    """A schema that depends on the name that stands under a key."""
    known = {'required': [key], 'properties': {key: {'enum': list(ways)}}}
    cases: list[Any] = [
        {'if': {'required': [key], 'properties': {key: {'const': name}}}, 'then': way} for name, way in ways.items()
    ]
    return {'properties': dict(properties), 'allOf': [*cases, {'if': {'not': known}, 'then': other}]}


def _named(registry: Any, packages: tuple[str, ...]) -> dict[str, Callable]:
    things = ((name.removesuffix('_basicsr'), thing) for name, thing in registry)
    return {name: thing for name, thing in things if thing.__module__.partition('.')[0] in packages}


def _clean(schema: Any) -> Any:
    """Without what is not for editors, and with the short form of what may be null."""
    if isinstance(schema, dict):
        clean = {key: _clean(value) for key, value in schema.items() if key not in _HIDDEN or isinstance(value, dict)}
        kinds = clean.get('anyOf', [])
        if len(kinds) == 2 and kinds[1] == {'type': 'null'} and isinstance(kinds[0].get('type'), str):
            kind = {key: value for key, value in kinds[0].items() if key != 'enum'}
            values = {'enum': [*kinds[0]['enum'], None]} if 'enum' in kinds[0] else {}
            return {
                **{k: v for k, v in clean.items() if k != 'anyOf'},
                **kind,
                **values,
                'type': [kind['type'], 'null'],
            }
        return clean
    return [_clean(value) for value in schema] if isinstance(schema, list) else schema

"""Write the option files of the ablations: each is a base with nothing but the switch that its name says.

    python options/ablation/generate.py

Run it after a base was changed; a test compares the files with what it would write. Each variant stands below with
the table of the paper that it belongs to. `small/AIBNet-S.yml` and `small/NAFNet.yml` are written by hand.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from aibnet_arch.config.option_file import load_option_file

HERE = Path(__file__).parent
OPTIONS = HERE.parent
LEFT_OUT = object()  # the key is in the base and not in the variant

PARTS = {
    'without_SFEM': {'network_g.sfem': False},
    'without_HFSBlock': {'network_g.hfs_block': False},
    'without_both': {'network_g.sfem': False, 'network_g.hfs_block': False},
}
MASKS = {f'{count}_masks': {'network_g.num_masks': count} for count in (0, 1, 2, 3, 5)}
READINGS = {
    'literal_logits': {'network_g.normalize_logits': False, 'network_g.logit_scale': 'beta'},
    'masked_to_zero': {'network_g.masked_logits': 'zero'},
    'alpha_0.2': {'network_g.alpha_init': 0.2},
}
DIRECT = {'train.strategy': 'direct', 'train.stage_iter': LEFT_OUT}
FUSIONS = {
    'direct': DIRECT,
    'direct_SAM': {**DIRECT, 'network_g.fusion': 'sam'},
    'direct_Fuse': {**DIRECT, 'network_g.fusion': 'fuse'},
}
SCRATCH = {'network_g.freeze_encoder': False, 'path.pretrain_network_encoder': None}
NAFNET = {'network_g.encoder': 'nafnet', 'path.pretrain_network_encoder': 'weights/NAFNet-GoPro-width64.pth'}
# The study puts the NAFNet that it trained there.
PRETRAINED = {'path.pretrain_network_encoder': 'weights/NAFNet-small.pth'}
TRAINED = {'network_g.freeze_encoder': False}

# The long study: the box's photographs, eight times as many iterations, the reading whose maps are awake.
LONG_DATA = {
    'datasets.train.name': 'box',
    'datasets.train.dataroot_lq': 'datasets/box/train/blur_crops.lmdb',
    'datasets.train.dataroot_gt': 'datasets/box/train/sharp_crops.lmdb',
    'datasets.val.name': 'box-test',
    'datasets.val.dataroot_lq': 'datasets/box/test/input.lmdb',
    'datasets.val.dataroot_gt': 'datasets/box/test/target.lmdb',
}
LONG_RECIPE = {
    'datasets.train.gt_size': 80,  # whole pictures then fit what it was trained on; as many pixels a step
    'datasets.train.batch_size_per_gpu': 3,
    'train.warmup_iter': 200,
    'train.optim_g.lr': 2e-3,
    'train.optim_g.fused': True,
    'train.ema_decay': 0.999,
    'val.val_freq': 2500,
    'logger.save_checkpoint_freq': 500,
}
AWAKE = {'network_g.logit_scale': 'temperature'}
LATER_STAGE = 5_000  # iterations of each stage after AIBNet-S's 10,000
DIRECT_ITERATIONS = {'B': 8_800, 'L': 9_500}  # they take as many seconds as all the stages
# As many milliseconds of inference as AIBNet-S. It and Restormer train for about as many seconds.
DEEPER_NAFNET = {
    'network_g.enc_blk_nums': [1, 1, 2, 4],
    'network_g.middle_blk_num': 2,
    'network_g.dec_blk_nums': [2, 2, 1, 1],
}
# The smallest that its layout allows.
RESTORMER = {
    'network_g.type': 'Restormer',
    **{f'network_g.{key}': LEFT_OUT for key in ('width', 'enc_blk_nums', 'middle_blk_num', 'dec_blk_nums')},
    'network_g.dim': 8,
    'network_g.num_blocks': [1, 1, 1, 1],
    'network_g.num_refinement_blocks': 1,
    'network_g.heads': [1, 2, 4, 8],
    'val.pad_to': 8,
    'train.optim_g.lr': 4e-3,
}


def stages(count: int, each: int) -> dict[str, Any]:
    """The changes that make a network of `count` sub-decoders of AIBNet-S."""
    return {
        'network_g.num_sub_decoders': count,
        'train.stage_iter': [each] * count,
        'train.total_iter': each * count,
    }


def iterations(total: int) -> dict[str, Any]:
    """The changes that give a network without stages so many iterations."""
    return {'train.total_iter': total, 'train.scheduler.periods': [total]}


def variants() -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """File, name, base and changes of each variant; paths below `options`."""
    scratch = 'ablation/GoPro/AIBNet-S_scratch.yml'
    for base, tables in {
        'AIBNet-S_GoPro.yml': {
            'Table 3 (d)': {'scratch': {'network_g.encoder': 'nafnet', **SCRATCH}},
            'Table 4': MASKS,
            'readings': {**READINGS, 'beta': {'network_g.logit_scale': 'beta'}},
        },
        scratch: {'Table 3 (a) to (c)': {f'scratch_{name}': changes for name, changes in PARTS.items()}},
        'AIBNet-L_GoPro.yml': {
            'Table 5': {
                'scratch': SCRATCH,
                'NAFNet_trained': {**NAFNET, **TRAINED},
                'NAFNet_frozen': NAFNET,
                'UFPNet_trained': TRAINED,
            },
            'Table 6': FUSIONS,
        },
    }.items():
        variant = Path(base).stem.split('_')[0]
        for table in tables.values():
            for name, changes in table.items():
                yield f'ablation/GoPro/{variant}_{name}.yml', f'{variant}_GoPro_{name}', base, changes

    base = 'ablation/small/AIBNet-S.yml'
    total = load_option_file(OPTIONS / base)['train']['total_iter']
    two, four = stages(2, total // 2), stages(4, total // 4)
    for table in (
        PARTS,
        MASKS,
        READINGS,
        {
            'pretrained_frozen': {'network_g.freeze_encoder': True, **PRETRAINED},
            'pretrained_trained': PRETRAINED,
            'UFPNet': {'network_g.encoder': 'ufpnet'},
        },
    ):
        for name, changes in table.items():
            yield f'ablation/small/AIBNet-S_{name}.yml', f'AIBNet-S_{name}', base, changes
    yield 'ablation/small/AIBNet-B.yml', 'AIBNet-B', base, two
    yield 'ablation/small/AIBNet-L.yml', 'AIBNet-L', base, four
    for name, changes in FUSIONS.items():
        yield f'ablation/small/AIBNet-B_{name}.yml', f'AIBNet-B_{name}', 'ablation/small/AIBNet-B.yml', changes

    long = {**LONG_DATA, **LONG_RECIPE, **stages(1, 10_000), **AWAKE}
    for name, changes in {'': {}, **{f'_{part}': changes for part, changes in PARTS.items()}}.items():
        yield f'ablation/long/AIBNet-S{name}.yml', f'AIBNet-S{name}', base, {**long, **changes}
    yield 'ablation/long/AIBNet-S_beta.yml', 'AIBNet-S_beta', base, {**long, 'network_g.logit_scale': 'beta'}
    for smaller, done, variant, count in (('S', 1, 'B', 2), ('B', 2, 'L', 4)):
        name = f'AIBNet-{variant}'
        lengths = [0] * done + [LATER_STAGE] * (count - done)
        grown = {**stages(count, 0), 'train.stage_iter': lengths, 'train.total_iter': sum(lengths)}
        handed = {'path.pretrain_network_stages': f'weights/AIBNet-{smaller}.pth'}  # the study puts its own there
        yield f'ablation/long/{name}.yml', name, base, {**long, **grown, **handed}
        direct = {**stages(count, 0), **DIRECT, 'train.total_iter': DIRECT_ITERATIONS[variant]}
        yield f'ablation/long/{name}_direct.yml', f'{name}_direct', base, {**long, **direct}
    frozen = {'network_g.freeze_encoder': True, 'path.pretrain_network_encoder': 'weights/NAFNet_encoder.pth'}
    yield 'ablation/long/AIBNet-S_pretrained_frozen.yml', 'AIBNet-S_pretrained_frozen', base, {**long, **frozen}
    nafnet = {**LONG_DATA, **LONG_RECIPE}
    encoder = {**nafnet, **iterations(10_000)}
    yield 'ablation/long/NAFNet_encoder.yml', 'NAFNet_encoder', 'ablation/small/NAFNet.yml', encoder
    deeper = {**nafnet, **iterations(11_100), **DEEPER_NAFNET}
    yield 'ablation/long/NAFNet.yml', 'NAFNet', 'ablation/small/NAFNet.yml', deeper
    restormer = {**nafnet, **iterations(8_200), **RESTORMER}
    yield 'ablation/long/Restormer.yml', 'Restormer', 'ablation/small/NAFNet.yml', restormer


def text_of(name: str, base: str, changes: dict[str, Any]) -> str:
    """The content of a variant's file."""
    opt = _plain(load_option_file(OPTIONS / base))
    opt['name'] = name
    told = []
    for key, value in changes.items():
        *sections, last = key.split('.')
        section = opt
        for each in sections:
            section = section[each]
        if value is LEFT_OUT:
            del section[last]
            told.append(f'{key} left out')
        else:
            section[last] = value
            told.append(f'{key}: {yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}')
    editors = '# yaml-language-server: $schema=../../schema.json'
    lines = [
        editors,
        f'# options/{base} with',
        *(f'#   {each}' for each in told),
        '# Written by options/ablation/generate.py.',
    ]
    return '\n'.join(lines) + '\n\n' + yaml.safe_dump(opt, sort_keys=False, default_flow_style=None)


def _plain(value: Any) -> Any:
    return {key: _plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def main() -> None:
    for file, name, base, changes in variants():
        (OPTIONS / file).parent.mkdir(exist_ok=True)
        (OPTIONS / file).write_text(text_of(name, base, changes))
        print(f'options/{file}')


if __name__ == '__main__':
    main()

"""The file of the weights in the box, made from a training run.

    python -m tools.box_weights --experiment experiments/AIBNet-box --version 1.0 \\
        --test datasets/box/test datasets/box/sharp

takes the averaged weights of the newest whole checkpoint (--iteration: of another), leaves out sub-decoders that are
not trained yet, stores them under `params`, where readers look first, their large matrices in 8 bits and the rest as
float16 (--precision), and writes what they are beside them: a card, the options of the training, and the window that
they want. --mean-with takes the mean with other weights, e.g. those that the run began from, which kept nearly the
better of both. They are measured on the test set first, as they are and as they are stored.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import torch
import yaml
from torch import Tensor

from aibnet_arch.checkpoints.folder import CheckpointFolder
from aibnet_arch.errors import UserError
from aibnet_arch.exit_codes import exit_code_of
from aibnet_arch.modeling import AIBNet
from aibnet_arch.photos import Deblurrer
from aibnet_arch.training.history import History
from aibnet_arch.weights.box import FILE
from aibnet_arch.weights.card import Card
from aibnet_arch.weights.eight_bit import restored, rounded
from aibnet_arch.weights.network_file import network_of, read_network
from aibnet_arch.weights.wanted import Wanted, options_tree
from aibnet_arch.weights.weight_file import AVERAGED, TRAINED, WeightFile, write_weight_file
from tools.box_measures import Row, Sample, figures, psnr, samples

MOST_BYTES = 8_000_000
MOST_LOSS = 0.01  # dB that fewer bits may cost
PRECISIONS = ('int8', 'float16', 'float32')  # of few bits to many; int8: of large matrices, else float16
KEPT = ('name', 'model_type', 'scale', 'manual_seed', 'network_g', 'train', 'val')


def newest(experiment: Path, iteration: Optional[int]) -> WeightFile:
    """The weights of a whole checkpoint of a run.

    Raises:
        UserError: there is none.
        CheckpointError: the one of that iteration is damaged.
    """
    folder = CheckpointFolder(models=experiment / 'models', states=experiment / 'training_states')
    if iteration is None:
        state, skipped = folder.newest_whole()
        if state is None:
            raise UserError('\n'.join([f'{experiment} has no whole checkpoint', *skipped]))
        iteration = state['iter']
    else:
        folder.read(iteration)
    return WeightFile.read(experiment / 'models' / f'net_g_{iteration}.pth')


def trained_part(network: AIBNet) -> AIBNet:
    """The network without the sub-decoders that are not trained yet."""
    trained = network.active_sub_decoders
    if trained == len(network.sub_decoders):
        return network
    smaller = AIBNet(**{**network.arguments, 'num_sub_decoders': trained}).eval()
    state = network.state_dict()
    smaller.load_state_dict({key: state[key] for key in smaller.state_dict()})
    return smaller


def mean_with(network: AIBNet, path: Path) -> AIBNet:
    """The network with the mean of its weights and those of a file.

    Raises:
        CheckpointError: the file is none of AIBNet's.
        UserError: its network is another.
    """
    other = trained_part(read_network(path, param_key=None))  # else a mean with what nothing has trained yet
    differing = [name for name, value in network.arguments.items() if other.arguments[name] != value]
    if differing:
        told = ', '.join(f'{name}={other.arguments[name]}, here {network.arguments[name]}' for name in differing)
        raise UserError(f'{path} is of another network, of which no mean can be made: {told}')
    state, others = network.state_dict(), other.state_dict()
    means = {key: (value + others[key]) / 2 for key, value in state.items() if value.is_floating_point()}
    network.load_state_dict({**state, **means})
    return network


def as_float16(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of floating point in half their size.

    Raises:
        UserError: a number is too large for that.
    """
    stored = {key: value.half() if value.is_floating_point() else value for key, value in state.items()}
    lost = [key for key, value in stored.items() if value.is_floating_point() and not torch.isfinite(value).all()]
    if lost:
        raise UserError(f'float16 cannot hold {lost[0]}: give --precision float32')
    return stored


def in_few_bits(state: Mapping[str, Tensor], precision: str) -> dict[str, Tensor]:
    """The state dict as the file stores it, its precision one of :data:`PRECISIONS`.

    Raises:
        UserError: a number is too large for that.
    """
    if precision == 'float32':
        return dict(state)
    half = as_float16(state)
    return rounded(half) if precision == 'int8' else half


def told_options(weights: WeightFile, *, window: Optional[int]) -> dict[str, Any]:
    """The options of the training, without what is of one machine, with the window."""
    tree = options_tree(weights.options)
    kept = {name: tree[name] for name in KEPT if name in tree}
    train = (tree.get('datasets') or {}).get('train') or {}
    kept['datasets'] = {'train': {name: value for name, value in train.items() if not name.startswith('dataroot')}}
    kept['val'] = {**(kept.get('val') or {}), 'window': window}
    return kept


def measured(network: AIBNet, *, window: Optional[int], pairs: Sequence[Sample]) -> list[Row]:
    """What the network makes of pictures."""
    deblur = Deblurrer(network, window=window, tile='whole', device='cpu')
    return [
        Row('box', pair.key, pair.kind, 'box', '', psnr(pair.lq, pair.gt), psnr(deblur(pair.lq), pair.gt))
        for pair in pairs
    ]


def expectation(found: Mapping[str, float]) -> str:
    """What to expect, in one line."""
    worst = round(found['worst_gain_db'], 1) + 0  # + 0: no "-0.0"
    return (
        f'for photos shaken in the hand; {found["gain_db"]:+.1f} dB on {found["blurred_pictures"]:.0f} pictures with '
        f'synthetic shake that it never saw (worst {worst:+.1f}); it does not undo defocus'
    )


def make(arguments: argparse.Namespace) -> int:
    """Measure and write; 0.

    Raises:
        UserError, CheckpointError: there is nothing to make it from, or the result is no box.
    """
    weights = newest(arguments.experiment, arguments.iteration)
    key = AVERAGED if AVERAGED in weights.entries else TRAINED
    network = trained_part(network_of(weights.state_dict(key), where=weights.where))
    if arguments.mean_with is not None:
        network = mean_with(network, arguments.mean_with)
    window = Wanted.of(weights).window if arguments.window is None else arguments.window or None
    state = network.state_dict()
    stored = in_few_bits(state, arguments.precision)
    pairs = [pair for folder in arguments.test for pair in samples(folder)]
    found = dict(figures(measured(network_of(restored(stored)), window=window, pairs=pairs)))
    if arguments.precision != 'float32':
        before = figures(measured(network, window=window, pairs=pairs))
        loss = before['output_db'] - found['output_db']
        print(f'{arguments.precision} costs {loss:.4f} dB')
        if loss > MOST_LOSS:
            more = ' or '.join(PRECISIONS[PRECISIONS.index(arguments.precision) + 1 :])
            told = f'{arguments.precision} costs {loss:.3f} dB, more than {MOST_LOSS}'
            raise UserError(f'{told}: give more bits, --precision {more}')
    seconds = [row['seconds'] for row in History(arguments.experiment).rows() if row['iteration'] <= weights.iteration]
    if seconds:
        found['training_hours'] = round(max(seconds) / 3600, 2)
    options = told_options(weights, window=window)
    recipe = f'{arguments.recipe}, {weights.iteration:,d} iterations'
    card = Card(arguments.name, arguments.version, expectation(found), recipe, arguments.licence, found)
    shipped = replace(
        weights, entries={TRAINED: stored}, options=yaml.safe_dump(options), card=card.to_text(), others={}
    )
    if arguments.overwrite:
        arguments.output.unlink(missing_ok=True)
    write_weight_file(arguments.output, shipped, architecture='AIBNet')
    size = arguments.output.stat().st_size
    print(f'{arguments.output}: {size / 1e6:.2f} MB; {card.line()}')
    print('\n'.join(f'  {name}: {value}' for name, value in found.items()))
    if size > MOST_BYTES:
        raise UserError(f'{arguments.output} has {size / 1e6:.1f} MB: a box has at most {MOST_BYTES / 1e6:.0f}')
    return 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Make the file; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--experiment', type=Path, required=True, help='folder of the run')
    parser.add_argument('--iteration', type=int, help='of the checkpoint (the newest)')
    parser.add_argument('--mean-with', type=Path, metavar='WEIGHTS', help='take the mean with these, e.g. of the start')
    parser.add_argument(
        '--test', nargs='+', type=Path, required=True, help='the folders test and sharp of datasets_prep.box'
    )
    parser.add_argument('--version', required=True, help='of the weights')
    parser.add_argument('--name', default='AIBNet box', help='of the weights (%(default)s)')
    parser.add_argument('--window', type=int, help="pixels; 0: none (the training's val.window)")
    parser.add_argument('--precision', choices=PRECISIONS, default='int8', help='(%(default)s)')
    parser.add_argument('--recipe', default='options/AIBNet_box.yml', help='what made them (%(default)s)')
    parser.add_argument('--licence', default='Apache-2.0', help='of the weights (%(default)s)')
    parser.add_argument('--output', type=Path, default=FILE, help='(%(default)s)')
    parser.add_argument('--overwrite', action='store_true', help='replace it')
    arguments = parser.parse_args(argv)

    return exit_code_of('box_weights', lambda: make(arguments))


if __name__ == '__main__':
    sys.exit(main())

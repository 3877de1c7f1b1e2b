"""RSBlur (Rim et al., ECCV 2022): 13,358 pairs of a beam splitter: 8878 for training, 1120 validation, 3360 test.

Makes three sets below the output folder, with the pairs of the authors' lists under keys such as 0001_000022:

  train/{input,target}.lmdb   whole pictures, or crops with --crop-size
  test/{input,target}.lmdb    the whole test pictures
  val/{input,target}.lmdb     for validation while training: the centre 256x256 of 100 of the validation list

The parts are mixed within the folders, so the lists (RSBlur_real_{train,val,test}.txt) are needed. They are in the
folder datalist/RSBlur of the authors' repository: --lists, unless they lie beside the archive.

--blur synthetic stores the training pictures of avg65_img, means of frames of which most are interpolated, instead of
the real ones; val and test are real. That is the input of the authors' synthesis and not its result: their training
adds saturated lights (by avg65_mask_100), sensor noise and the camera's processing to each patch. None of it is done
here. The published benchmark of the set trains on the real pictures, the default, which needs nothing of it.

Layout and lists are those of https://github.com/rimchang/RSBlur. Not verified, for the archive was not at hand: that
the zip brings no other files, and whether the lists are in it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from datasets_prep.archives import FilePath
from datasets_prep.cli import add_archive_arguments, add_writing_arguments, new_parser, run
from datasets_prep.crops import Crop
from datasets_prep.errors import PrepError
from datasets_prep.list_file import Listed, pairs_of_list
from datasets_prep.pairs import Pair
from datasets_prep.parts import add_crop_arguments, add_part_arguments, crop_of, evenly_spread, finish, part_set
from datasets_prep.places import first, nothing_found, open_inputs
from datasets_prep.trees import count_problems, subfolders

EXPECTED_PAIRS = {'train': 8878, 'val': 1120, 'test': 3360}
EXPECTED_TREE = (
    'Expected is RSBlur/SSSS/NNNNNN/{real_blur/real_blur.png,avg65_img/avg_blur.png,gt/gt_sharp.png}. The authors '
    'publish the archive (RSBlur.zip) at https://github.com/rimchang/RSBlur'
)
REAL, SYNTHETIC, SHARP = 'real_blur/real_blur.png', 'avg65_img/avg_blur.png', 'gt/gt_sharp.png'


def find_root(place: FilePath) -> FilePath | None:
    """The folder with the scenes' folders, if it is this place."""
    for scene in subfolders(place):
        if scene.name.isdigit():
            shots = subfolders(scene)
            return place if shots and (shots[0] / SHARP).is_file() else None
    return None


def find_list(place: FilePath, *, part: str) -> FilePath | None:
    """A part's list, if it is in this place, which may be a copy of the authors' repository."""
    paths = [folder / f'RSBlur_real_{part}.txt' for folder in (place, place / 'datalist' / 'RSBlur')]
    return next((path for path in paths if path.is_file()), None)


def listed_pairs(listed: FilePath, root: FilePath, *, blur: str, problems: list[str]) -> list[Pair]:
    """The pairs of a list, whose lines are ``RSBlur/<scene>/<shot>/<sharp> RSBlur/<scene>/<shot>/<blurred>``.

    Args:
        blur: path of the blurred picture in a shot's folder.
    """

    def read(fields: Sequence[str]) -> Listed | None:
        shots = {PurePosixPath(field).parts[-4:-2] for field in fields}
        if len(fields) != 2 or len(shots) != 1 or len(shot := shots.pop()) != 2:
            return None
        folder = root / '/'.join(shot)
        return Listed('_'.join(shot), lq=folder / blur, gt=folder / SHARP)

    return pairs_of_list(listed, read, form=f'<scene>/<shot>/{SHARP} <scene>/<shot>/{REAL}', problems=problems)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the parts, real or synthetic blur, as the command line asks; 0, or what :func:`.cli.run` tells."""
    parser = new_parser('rsblur', description=__doc__)
    add_archive_arguments(parser)
    parser.add_argument('--lists', type=Path, help="folder of the authors' lists (default: looked for in the input)")
    parser.add_argument(
        '--blur', choices=('real', 'synthetic'), default='real', help='of the training pictures (default: %(default)s)'
    )
    add_writing_arguments(parser, output='datasets/RSBlur, or datasets/RSBlur_synthetic')
    add_part_arguments(parser, tuple(EXPECTED_PAIRS), val_crop=True)
    add_crop_arguments(parser, of=' in train/')
    args = parser.parse_args(argv)
    crop = crop_of(parser, args)
    output = args.output or Path('datasets/RSBlur' if args.blur == 'real' else 'datasets/RSBlur_synthetic')

    inputs = open_inputs(args.input, expected=EXPECTED_TREE)
    root = first(inputs, find_root)
    if root is None:
        raise nothing_found(inputs, expected=EXPECTED_TREE)
    places = open_inputs([args.lists], expected='') if args.lists else [root, root.parent, *inputs]
    problems: list[str] = []
    sets = []
    for part, expected in EXPECTED_PAIRS.items():
        if part not in args.parts:
            continue
        listed = first(places, find_list, depth=0, part=part)
        if listed is None:
            raise PrepError(
                f'There is no RSBlur_real_{part}.txt in {", ".join(map(str, places))}. It says which pictures are for '
                f'{part}: name the folder datalist/RSBlur of https://github.com/rimchang/RSBlur with --lists.'
            )
        blur = SYNTHETIC if (args.blur, part) == ('synthetic', 'train') else REAL
        pairs = listed_pairs(listed, root, blur=blur, problems=problems)
        problems += count_problems(len(pairs), expected=expected, what=str(listed), partial=args.partial)
        cut = {'train': crop, 'val': Crop(args.val_crop), 'test': None}[part]
        chosen = evenly_spread(pairs, count=args.val_count) if part == 'val' else pairs
        sets.append(part_set(chosen, output=output, part=part, source=f'RSBlur {args.blur}', crop=cut))
    return finish(sets, args, problems=problems, places=[root], expected=EXPECTED_TREE)


if __name__ == '__main__':
    sys.exit(run(main))

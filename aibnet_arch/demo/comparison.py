"""Put the blurred input and every sub-decoder's output beside the truth, in figures and in a picture."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from ..config.option_file import load_option_file
from ..errors import UserError
from ..files import write_picture
from ..metrics import calculate_ssim_3d
from ..modeling import AIBNet
from ..weights import read_network


def compare(option_file: str) -> dict[str, tuple[float, float, float]]:
    """Measure the last checkpoint of a finished training run on its validation set.

    Prints a table and the path of a before / after / truth picture.

    Args:
        root: where the experiments lie; the current directory by default.

    Returns:
        For the input and each sub-decoder: mean PSNR (dB), BasicSR's SSIM, and 3-D SSIM.

    Raises:
        UserError: there is no checkpoint.
    """
    from basicsr.data import build_dataset
    from basicsr.metrics import calculate_psnr, calculate_ssim
    from basicsr.utils import tensor2img

    opt = load_option_file(option_file)
    experiment = Path(opt['path'].get('experiments_root') or Path.cwd() / 'experiments') / opt['name']
    net = _load(opt, experiment / 'models' / 'net_g_latest.pth')
    dataset = build_dataset({**opt['datasets']['val'], 'phase': 'val', 'scale': opt['scale']})

    scores: dict[str, list] = {}
    rows = []
    for sample in (dataset[index] for index in range(len(dataset))):
        truth = tensor2img([sample['gt']])
        images = {'blurred input': tensor2img([sample['lq']])}
        images.update(_restored(net, sample['lq'], tensor2img))
        for name, image in images.items():
            figures = [measure(image, truth, crop_border=0) for measure in (calculate_psnr, calculate_ssim)]
            scores.setdefault(name, []).append([*figures, calculate_ssim_3d(image, truth)])
        rows.append((images['blurred input'], image, truth))
    means = {name: tuple(np.mean(values, axis=0)) for name, values in scores.items()}
    _print_table(means, dataset_name=opt['datasets']['val']['name'], count=len(rows))
    picture = experiment / 'before_after_truth.png'
    write_picture(picture, _side_by_side(rows))
    print(f'before / after / truth: {picture.resolve()}')
    return means


def _load(opt: dict, path: Path) -> AIBNet:
    if not path.is_file():
        raise UserError(f'there is no {path}: has the training of {opt["name"]} finished here?')
    return read_network(path, param_key='params_ema' if opt['train'].get('ema_decay', 0) > 0 else 'params')


@torch.no_grad()
def _restored(net: AIBNet, lq: torch.Tensor, tensor2img) -> Iterator[tuple[str, np.ndarray]]:
    for number, image in enumerate(net.images(lq[None]), start=1):
        yield f'sub-decoder {number}', tensor2img([image])


def _print_table(means: dict[str, tuple[float, float, float]], *, dataset_name: str, count: int) -> None:
    blurred = means['blurred input'][0]
    print(f'\n{dataset_name}: mean over {count} held-out pictures')
    print(f'{"":16}{"PSNR (dB)":>10}{"gain":>8}{"SSIM":>9}{"SSIM 3-D":>10}')
    for name, (psnr, ssim, ssim_3d) in means.items():
        print(f'{name:16}{psnr:10.2f}{psnr - blurred:+8.2f}{ssim:9.4f}{ssim_3d:10.4f}')


def _side_by_side(rows: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> np.ndarray:
    """One row a picture, cropped to the smallest of them; columns: blurred, restored, sharp."""
    height = min(row[0].shape[0] for row in rows)
    width = min(row[0].shape[1] for row in rows)
    return np.vstack([np.hstack([_centre(image, height, width) for image in row]) for row in rows])


def _centre(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]
